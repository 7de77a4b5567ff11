"""When a run saves itself, what it saves, and what becomes of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from distnn import checkpoint
from distnn.arrays import Array
from distnn.checkpoint import Checkpoint, Draft
from distnn.checkpoint.background import Snapshot, Writing
from distnn.checkpoint.together import Together
from distnn.config import CheckpointSettings
from distnn.errors import CheckpointError
from distnn.models.model import Model
from distnn.session.progress import Progress
from distnn.session.records import Listener
from distnn.train.step import Step
from distnn.train.timeline import SAVING

#: Seconds from a failed save to the next try; each further failure in a row doubles them, up to the second number.
RETRY = (60.0, 3600.0)
#: Seconds that a run which fails waits for what is being written; its other ranks wait for its end.
GRACE = 5.0


@dataclass(eq=False)
class Saver:
    """Saves a run's state while the training goes on: a small one by rank 0, a large one by several ranks `Together`.

    A save begins with a copy of the state in memory, in a thread. The next step's forward and backward only read what
    is copied; a rank comes to their reduction, without which no rank updates, once its copy is complete. So the steps
    wait for what of the copy takes longer than forward and backward. The thread writes and verifies the copy, and
    `after_step` reports it when it has. There is one copy: a save that is due while the former one is being written
    waits for it.

    Arguments:
        folder: the run's ``checkpoints`` folder.
        settings: when to save, how many to keep, and whether a failure stops the run.
        run: the resolved run file, as a dictionary.
        model, step: whose parameters and optimiser state are saved.
        environment: what the run runs on.
        data: what its data mean.
        transforms: what their transforms were fitted to.
        listener: hears of every checkpoint, on rank 0.

    Attributes:
        writing: a save that is in progress, or hasn't been reported yet.
        latest: the newest file known to be good; on ranks other than 0 as of the last `save` or `wait`.
        waited_s: seconds that rank 0's steps stood still for saves.
        last_s: seconds from the beginning to the end of the last save.
    """

    folder: Path
    settings: CheckpointSettings
    run: dict[str, Any]
    model: Model
    step: Step
    environment: dict[str, str]
    data: dict[str, Any]
    transforms: dict[str, Array]
    listener: Listener

    def __post_init__(self) -> None:
        self.latest: Path | None = None
        self.waited_s = self.last_s = 0.0
        self._snapshot = Snapshot()
        self.writing: Writing | Together | None = None
        world, state = self.step.world, (self.step.parameters.values, *self.step.update.slots.values())
        # A file to which several ranks write is lost with one of them.
        several = checkpoint.writers(sum(vector.nbytes for vector in state), world.comm.size) > 1
        self._together = several and not world.failures.elastic
        self._failure: CheckpointError | None = None
        self._failures = 0
        self._saved = (-1, -1)
        self._clock = time.monotonic()
        world.failures.before_leaving(self._leave)

    def began_at(self, path: Path, progress: Progress) -> None:
        """The run goes on from the checkpoint at ``path``, which need not be written again."""
        self.latest, self._saved = path, (progress.step, progress.epoch)

    @property
    def overdue(self) -> bool:
        """Whether it is time to save, by this rank's clock: so many minutes have passed, or a failed save is tried
        again."""
        if not self.step.world.comm.root or self.writing is not None:
            return False
        passed, minutes = time.monotonic() - self._clock, self.settings.every_minutes
        return (minutes is not None and passed >= 60 * minutes) or (bool(self._failures) and passed >= self._pause)

    @property
    def failed(self) -> bool:
        """Whether this rank wishes to stop because a save failed; the next `save` then raises why, on every rank."""
        return self._failure is not None and self.settings.on_failure == "stop"

    def after_step(self, progress: Progress, *, wished: bool = False) -> None:
        """Report a save that has ended, and save after a number of steps, or if it is ``wished``: rank 0 has let the
        others know in the step that it is `overdue`."""
        if isinstance(self.writing, Together):
            self.writing.advance()
        if self.writing is not None and self.writing.done:
            self.conclude()
        steps = self.settings.every_steps
        if wished or (steps and progress.step % steps == 0):
            self.save(progress)

    def after_epoch(self, progress: Progress, best: bool) -> None:
        """Save if a number of epochs says so; ``best`` marks it as the best so far."""
        epochs = self.settings.every_epochs
        if epochs and progress.epoch % epochs == 0:
            self.save(progress, best=best)

    def save(self, progress: Progress, best: bool = False) -> None:
        """Begin to save, unless this very step and position is saved already; every rank has to call it.

        Raises:
            CheckpointError: on every rank, if the save before this one failed and the run is to stop then.
        """
        self.wait()
        if self._failure is not None and self.failed:
            raise self._failure
        position = (progress.step, progress.epoch)
        if position == self._saved and not best:
            return
        carried = self.step.carried.collect(self.step.world.comm, self.step.batching.shards) if progress.window else {}
        self._saved, self._failure = position, None
        progress.exponents = self.step.reduction.gradients.exponents
        self._clock = time.monotonic()
        if self._together:
            self._begin_together(progress.to_dict(), carried, best)
        elif self.step.world.comm.root:
            self._begin(progress.to_dict(), carried, best)

    def _begin(self, progress: dict[str, Any], carried: dict[str, Array] | None, best: bool) -> None:
        slots = self.step.update.slots

        def write(copies: list[Array]) -> Path:
            values, *moments = copies
            state = self._state(values, dict(zip(slots, moments, strict=True)), progress, carried or {})
            return checkpoint.save(self.folder, state, keep=self.settings.keep, best=best)

        self.writing = Writing(self._snapshot, [self.step.parameters.values, *slots.values()], write, progress["step"])

    def _begin_together(self, progress: dict[str, Any], carried: dict[str, Array] | None, best: bool) -> None:
        state, draft = self._state(self.step.parameters.values, self.step.update.slots, progress, {}), None
        arrays = checkpoint.arrays(state)
        if self.step.world.comm.root:
            state.state = carried or {}
            try:
                draft = Draft(self.folder, state)
            except CheckpointError as error:
                self._failed(error)
        if self.step.world.comm.bcast(draft is None):
            return

        finish = partial(Draft.finish, keep=self.settings.keep, best=best)
        self.writing = Together(self.step.world.comm, draft, arrays, self._snapshot, finish, progress["step"])

    def wait(self) -> None:
        """Wait for what is being written, and report it; every rank has to call it, and knows the outcome then."""
        start = time.perf_counter()
        if isinstance(self.writing, Together):
            self.writing.advance(wait=True)
        self.latest, self._failure, self._saved = self.step.world.comm.on_root(self.conclude)
        self.waited_s += time.perf_counter() - start

    def finish(self) -> None:
        """Wait for the last save; every rank has to call it.

        Raises:
            CheckpointError: on every rank, if it failed: what was trained since the one before it would be lost.
        """
        self.wait()
        if self._failure is not None:
            raise self._failure

    def wait_for_copy(self) -> None:
        """Wait until the state may change, which it does from a step's reduction on."""
        if self.writing is not None:
            start = time.perf_counter()
            self.writing.wait_for_copy()
            self.waited_s += time.perf_counter() - start

    def _leave(self) -> None:
        """The run ends by an error: a last chance for what is being written, and there is nobody to report to."""
        if self.writing is not None:
            self.writing.wait(GRACE)

    def _state(
        self, values: Array, slots: dict[str, Array], progress: dict[str, Any], carried: dict[str, Array]
    ) -> Checkpoint:
        views = self.step.parameters.views
        return Checkpoint(
            parameters=views(values),
            optimizer={name: views(vector) for name, vector in slots.items()},
            progress=progress,
            settings=self.run,
            model={
                "input_shape": list(self.model.input_shape),
                "target_shape": list(self.model.target_shape),
                "task": self.model.task,
                "classes": list(self.model.classes),
                "description": self.model.description,
            },
            environment=self.environment,
            state=carried,
            data=self.data,
            transforms=self.transforms,
        )

    def conclude(self) -> tuple[Path | None, CheckpointError | None, tuple[int, int]]:
        """Wait for what this rank is writing, report it on rank 0, and say how things stand.

        No other rank need be there, as long as none shares in it.
        """
        writing, self.writing = self.writing, None
        if writing is not None and self.step.world.comm.root:
            try:
                self.latest = writing.result()
                self._failures, self.last_s = 0, writing.seconds
                if self.step.timeline:
                    stop = writing.start + writing.seconds
                    self.step.timeline.add("checkpoint", writing.start, stop, SAVING, f"step {writing.step}")
                self.listener.saved(self.latest, writing.step)
            except CheckpointError as error:
                self._failed(error)
            self._clock = time.monotonic()
        return self.latest, self._failure, self._saved

    def _failed(self, error: CheckpointError) -> None:
        """On rank 0, note that a save failed, and report it if the run goes on."""
        self._failure, self._saved = error, (-1, -1)
        self._failures += 1
        if not self.failed:
            again = f"The run goes on, and tries again in {self._pause / 60:.0f} min at the latest"
            self.listener.warned(f'{error} {again} (checkpoint.on_failure = "continue").')

    @property
    def _pause(self) -> float:
        """Seconds from a failed save to the next try."""
        return min(RETRY[0] * 2.0 ** (self._failures - 1), RETRY[1])
