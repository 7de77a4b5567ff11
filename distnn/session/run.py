"""A whole training run: from settings to objects, the loop, and back to a summary; again without the ranks that die."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distnn.arrays import Array
from distnn.checkpoint import Checkpoint
from distnn.checkpoint.environment import blas, environment, versions
from distnn.config import RunSettings, to_dict
from distnn.data.meaning import meaning
from distnn.errors import DataError
from distnn.parallel.agreement import agree
from distnn.parallel.communicator import Communicator
from distnn.parallel.threads import blas_threads
from distnn.parallel.world import World
from distnn.session.beginning import (
    begin,
    folder_of,
    keep_scale,
    make_folder,
    other_bits,
    other_data,
    other_monitor,
    other_sources,
    same_transforms,
)
from distnn.session.build import Run
from distnn.session.changes import other_best, other_settings, same_meaning
from distnn.session.lock import FolderLock, unwritable
from distnn.session.loop import Loop
from distnn.session.metrics import MetricsFile
from distnn.session.parts import NOTHING, Given, data_file, loss_in_words
from distnn.session.records import Listener, Listeners, RunInfo, Summary
from distnn.session.samples import agree_on
from distnn.session.saving import Saver
from distnn.session.sources import sources
from distnn.supervision.guard import StopSignals
from distnn.supervision.survival import outlive


def train(
    settings: RunSettings,
    *,
    out: Path | None = None,
    resume: str | None = None,
    max_time: float | None = None,
    force: bool = False,
    world: World,
    listener: Listener | None = None,
    given: Given = NOTHING,
) -> tuple[Summary, Run]:
    """Train by a run file, on every rank of ``world`` together: how it ended, and the run with its trained parameters.

    Arguments:
        out: the run's folder; may be None only with a ``resume`` that implies it.
        resume: a run's folder, a checkpoint, or ``auto``: go on with what is in ``out`` if there is anything.
        max_time: seconds after which to stop with a checkpoint.
        force: take over the folder of a run that seems to be still running.
        listener: hears of the progress on rank 0; where that may die, every rank has to bring one.
        given: objects made in Python, to be used instead of what the settings describe.

    Raises:
        UsageError: for bad data, settings, folders or checkpoints, and an MPI that can't do what the settings want.
        DistnnError: if the training diverges or the ranks drift apart.
    """
    failures = world.failures
    agree(world.comm, {**_flat(to_dict(settings)), "out": out, "resume": resume, "versions": versions()})
    world.heartbeat.expect_within(settings.parallel.timeout)
    if settings.parallel.elastic:
        failures.make_elastic()
    training = _Training(settings, out, resume, max_time, force, world, listener, given)
    with closing(training):
        with StopSignals() as signals:
            outlive(world, lambda left: training.attempt(signals, left))
        ended = training.end()
        if failures.elastic:
            failures.agree(True)  # none leaves before rank 0 has reported: the launcher might end the others
    return ended


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings by ``section.key``."""
    return {f"{section}.{key}": value for section, keys in settings.items() for key, value in keys.items()}


@dataclass(eq=False)
class _Training:
    """A run in progress; the arguments are those of `train`."""

    settings: RunSettings
    out: Path | None
    resume: str | None
    max_time: float | None
    force: bool
    world: World
    listener: Listener | None
    given: Given

    def __post_init__(self) -> None:
        self._start = time.perf_counter()
        self._warnings: list[str] = []
        self._listeners = Listener()  # nobody, but on rank 0
        self._folder: Path | None = None
        self._run: Run | None = None
        self._loop: Loop | None = None
        self._summary: Summary | None = None
        self._remarks: tuple[str, ...] = ()
        self._reported_dead = 0
        self._lock: FolderLock | None = None
        self._fitted: dict[str, Array] | None = None
        self._before: tuple[dict[str, Any], dict[str, Any]] | None = None
        self._token = ""
        self._data: dict[str, Any] = {}  # what they mean

    def attempt(self, signals: StopSignals, left: Communicator | None) -> None:
        """Train to the end; at first, and again with the ranks that are ``left`` where others died."""
        leader = self._regrouped(left) if left else None
        settings, world = self.settings, self.world
        run, start = self._begin() if leader is None else (self._go_on(leader), None)
        # Only now that nothing is left to be refused does the run change its folder.
        folder = self._folder
        assert folder is not None
        self._token = world.comm.on_root(lambda: self._take(folder))
        world.comm.on_root(lambda: make_folder(folder, settings))
        if world.comm.root and not isinstance(self._listeners, Listeners):
            metrics = MetricsFile(folder / "metrics.jsonl", settings.log.interval, (self.listener or Listener()).warned)
            if left:  # the one that told of the first losses may be lost itself, before it did or after
                self._warnings = [text for text in dict.fromkeys(self._warnings) if not metrics.has_warned(text)]
            everyone = self._lock, metrics, self.listener  # the lock first: it may have been lost
            self._listeners = Listeners([each for each in everyone if each])
        saver = Saver(
            folder / "checkpoints",
            settings.checkpoint,
            to_dict(settings),
            run.model,
            run.step,
            environment(world.comm) | sources(run),
            self._data,
            run.chains.state,
            self._listeners,
        )
        if start:
            saver.began_at(start, run.progress)
        self._report(run, start, folder)
        former, self._run = self._run, run
        self._loop = Loop(run, saver, self._listeners, self.max_time, self._start)
        if former:
            former.close()
        if run.step.timeline:
            run.step.timeline.begin()
        self._summary = self._loop.run(signals)

    def _begin(self) -> tuple[Run, Path | None]:
        """The run at its beginning, or at the checkpoint that is to be resumed, with this one's path."""
        comm = self.world.comm
        self._folder, start = comm.on_root(self._start_from)
        saved = start[1] if start and comm.root else None
        if start:
            path = start[0]
            self._fitted = comm.on_root(lambda: same_transforms(saved, path, self.settings) if saved else None)
            self._before = comm.on_root(lambda: (saved.data, saved.settings) if saved else None)
        run = self._assembled()
        if start:
            path = start[0]
            comm.on_root(lambda: same_meaning(saved, path, run, self._data) if saved else None)
            anew = comm.on_root(lambda: other_best(saved, run, self._data) if saved else [])
            run.load(path, saved, comparable=not anew)
            self._warnings += comm.on_root(lambda: other_data(saved, path, self._data) if saved else []) + anew
        if saved:
            self._warnings += other_settings(saved, run)
            self._warnings += other_monitor(saved, run)
            self._warnings += other_sources(saved, sources(run))
        if saved and self.settings.parallel.reproducible:
            self._warnings += other_bits(saved, self.settings, environment(comm))
        return run, start[0] if start else None

    def _start_from(self) -> tuple[Path, tuple[Path, Checkpoint] | None]:
        """The run's folder, locked if it is there already, and the checkpoint to begin with."""
        folder = folder_of(self.out, self.resume)
        if folder.is_dir():
            self._take(folder)
        return folder, begin(folder, self.resume, self._warnings)

    def _take(self, folder: Path) -> str:
        """Lock the folder, unless that is done; the lock's token."""
        if self._lock is None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise unwritable(folder, error) from error
            self._lock = FolderLock(folder, force=self.force, token=self._token)
            if self.resume is None and not self._token:
                begin(folder, self.resume, [])  # once more: somebody may have been faster
        return self._lock.token

    def _regrouped(self, comm: Communicator) -> int | None:
        """Go on with these ranks: the one that has come furthest, None if the run has to begin once more."""
        self.world, loop = replace(self.world, comm=comm), self._loop
        blas_threads.settle(comm)
        if loop:
            loop.saver.conclude()
        position = (loop.position.step, loop.position.epoch) if loop else (-1, -1)
        everyone = comm.allgather((position, self._folder is not None))
        if any(began for _, began in everyone):
            self.resume = self.resume or "auto"  # what is in the folder is of this run
        furthest = max(position for position, _ in everyone)
        where = "before the first step" if furthest[0] < 0 else f"after step {furthest[0]}"
        lost = self.world.failures.lost
        dead, self._reported_dead = lost[self._reported_dead :], len(lost)
        self._warnings.append(
            f"{' and '.join(dead)} died {where}; the other {'ranks go' if comm.size > 1 else 'rank goes'} on, "
            f"{comm.size} of {len(lost) + comm.size}."
        )
        return None if furthest[0] < 0 else [position for position, _ in everyone].index(furthest)

    def _go_on(self, leader: int) -> Run:
        """The run as the rank ``leader`` has it."""
        former = self._run
        kept = all(self.world.comm.allgather(former is not None))
        self._fitted, self._before = self.world.comm.bcast((self._fitted, self._before), leader)
        run = self._assembled(former if kept else None)
        run.take_over(former, self._loop.position if self._loop else None, leader)
        return run

    def _assembled(self, former: Run | None = None) -> Run:
        # The ranks that opened a file together have to close it together, which they can't where one has died.
        mpi = None if self.world.failures.elastic else self.world.comm.mpi
        with data_file(self.settings, mpi, loss=self.given.loss) as file:
            if self._before:
                keep_scale(file, *self._before)
            if former is None:
                self._remarks = tuple(file.remarks())
                self._data = meaning(file, agree_on(file, self.world.comm))
            run = Run(self.settings, file, self.world, self.given, self._fitted, former)
        if former is None:
            self._remarks += tuple(run.chains.remarks if self._fitted is None else run.chains.description)
            if self._fitted is None:
                self._warnings += run.warnings
        self._fitted = run.chains.state
        return run

    def _report(self, run: Run, start: Path | None, folder: Path) -> None:
        """Report how the run begins, or goes on."""
        if self.world.comm.root:  # the others keep them, for one of them may have to tell them
            for text in self._warnings:
                self._listeners.warned(text)
            self._warnings.clear()
        if start:
            self._listeners.resumed(start, run.progress.step)
        self._listeners.started(_info(run, folder, self._remarks))

    def end(self) -> tuple[Summary, Run]:
        """Report how it ended."""
        assert self._summary is not None and self._run is not None
        if timeline := self._run.step.timeline:
            try:
                timeline.write(self._summary.out / "trace.json")
            except DataError as error:  # a run that has finished doesn't fail for it
                self._listeners.warned(str(error))
        self._listeners.finished(self._summary)
        return self._summary, self._run

    def close(self) -> None:
        """Let go of files, and of the terminal."""
        if self._run:
            self._run.close()
        self._listeners.close()
        if self._lock:
            self._lock.release()


def _info(run: Run, folder: Path, remarks: tuple[str, ...]) -> RunInfo:
    comm = run.world.comm
    name, unit = loss_in_words(run.model, run.settings)
    return RunInfo(
        out=folder,
        model=run.model.description,
        parameters=run.parameters.count,
        ranks=comm.size,
        hosts=len(set(comm.hosts)),
        threads=blas_threads.now.count,
        threads_reason=blas_threads.now.reason,
        samples=run.samples,
        held_out=run.held_out,
        batch_size=run.batch_size,
        epochs=run.settings.train.epochs,
        steps_per_epoch=run.step.windows,
        start_step=run.progress.step,
        start_epoch=run.progress.epoch,
        data=Path(run.settings.data.path),
        blas=blas(),
        kernels=run.kernels,
        remarks=remarks,
        loss=f"{name} in {unit}" if unit else name,
        monitor=str(run.monitor),
        higher_is_better=run.monitor.higher,
    )
