"""A whole training run: from settings to objects, the loop, and back to a summary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from distnn.data.hdf5 import DataFile
from distnn.errors import DataError, RunFileError, SharedMemoryError
from distnn.models import Loss, Model, build
from distnn.models.model import Network
from distnn.parallel.world import World
from distnn.parameters import Memory
from distnn.train import checkpoint
from distnn.train.beginning import begin, make_folder, other_bits
from distnn.train.compiling import prepare
from distnn.train.environment import blas, environment
from distnn.train.evaluate import Evaluator
from distnn.train.guard import StopSignals
from distnn.train.loop import Loop
from distnn.train.metrics import MetricsFile
from distnn.train.parts import augmentation, bucket_mb, memories, optimizer, schedule
from distnn.train.progress import Progress
from distnn.train.records import Listener, Listeners, RunInfo, Summary
from distnn.train.samples import fits, sample_order, training_source
from distnn.train.saving import Saver
from distnn.train.step import TAIL, Step
from distnn.train.timeline import Timeline

if TYPE_CHECKING:
    from distnn.config import RunSettings
    from distnn.config.sections import ParallelSettings


class Run:
    """A run, assembled: its model, its state, and what it needs to be trained.

    Arguments:
        settings: the run file.
        file: the open data file.
        world: the ranks.
        network: instead of what ``settings.model`` describes, a network built in Python.

    Raises:
        DataError: if the batch is larger than the training split, or the data are bad.
        RunFileError, ShapeError: if the model doesn't fit the data.
    """

    def __init__(self, settings: RunSettings, file: DataFile, world: World, network: Network | None = None) -> None:
        self.settings, self.world = settings, world
        _settle_threads(settings.parallel, world)
        self.model = _model(settings, file, network)
        train, samples = settings.train, file.count("train")
        self.batch_size = _batch_size(settings, file)
        self.optimizer = optimizer(settings)
        in_memory = fits(settings.data, file, world)
        order = sample_order(settings, file, self.batch_size, in_memory=in_memory)
        self.loader = training_source(file, order, world, in_memory=in_memory)
        self.loader.augmentation = augmentation(settings, file)
        possible = memories(settings.parallel.reduction, world, self.optimizer)
        while True:
            try:
                self.step = self._step(possible.pop(0))
                break
            except SharedMemoryError:  # on every rank alike
                if not possible:
                    raise
        self.parameters = self.step.parameters
        exact = settings.parallel.reproducible
        self.kernels = prepare(self.model, self.optimizer, self.parameters, world, reproducible=exact)
        self.evaluators = {
            split: Evaluator(
                self.model, self.parameters, file, split, world, settings.parallel.groups, in_memory=in_memory
            )
            for split in file.splits
            if split != "train"
        }
        self.schedule = schedule(settings.schedule, self.step.windows, train.epochs)
        self.progress = Progress(train.seed, self.batch_size, train.accumulate, order.name)
        self.samples = samples

    def _step(self, memory: Memory) -> Step:
        """The training step, with the model's parameters in this memory."""
        train, world = self.settings.train, self.world
        parameters = self.model.initialize(train.seed, train.dtype, tail=TAIL, minimum=world.size, memory=memory)
        return Step(
            self.model,
            parameters,
            self.loader,
            self.optimizer,
            world,
            batch_size=self.batch_size,
            seed=train.seed,
            memory=memory,
            shards=self.settings.parallel.shards,
            accumulate=train.accumulate,
            clip_norm=train.clip_norm,
            streams=self.settings.data.streams,
            reproducible=self.settings.parallel.reproducible,
            bucket_mb=bucket_mb(self.settings.parallel, world),
        )

    def close(self) -> None:
        """Let go of the data, if they are read as they are needed."""
        self.loader.close()
        for evaluator in self.evaluators.values():
            evaluator.close()

    def load(self, path: Path, saved: checkpoint.Checkpoint | None) -> None:
        """Take over a checkpoint, which rank 0 has read.

        Raises:
            CheckpointError: if it belongs to another model, optimiser or order of samples.
        """

        def take() -> dict[str, Any]:
            assert saved is not None
            self.progress.resume(saved.progress, str(path))
            checkpoint.fit_into(saved.parameters, self.parameters.value, path)
            for name, vector in self.step.slots.items():
                if name in saved.optimizer:
                    checkpoint.fit_into(saved.optimizer[name], self.parameters.views(vector), path)
            if self.progress.window:
                checkpoint.fit_into(saved.state, self.step.carried.state, path, what="states of streams")
            return self.progress.to_dict()

        for key, value in self.world.on_root(take).items():
            setattr(self.progress, key, value)
        self.step.gradients.load(self.progress.exponents)
        for vector in (self.parameters.values, *self.step.slots.values(), *self.step.carried.state.values()):
            self.world.share(vector)


def train(
    settings: RunSettings,
    *,
    out: Path | None = None,
    resume: str | None = None,
    max_time: float | None = None,
    world: World,
    listener: Listener | None = None,
    network: Network | None = None,
) -> tuple[Summary, Run]:
    """Train by a run file, on every rank of ``world`` together.

    Arguments:
        settings: the run file's contents.
        out: the run's folder; may be None only with a ``resume`` that implies it.
        resume: a run's folder, a checkpoint, or ``auto``: go on with what is in ``out`` if there is anything.
        max_time: seconds after which to stop with a checkpoint.
        world: the ranks.
        listener: hears of the progress; on rank 0 only.
        network: instead of what ``settings.model`` describes, a network built in Python.

    Returns:
        How it ended, and the run with its trained parameters.

    Raises:
        UsageError: for bad data, settings, folders or checkpoints.
        DistnnError: if the training diverges or the ranks drift apart.
    """
    world.patience = settings.parallel.timeout
    warnings: list[str] = []
    folder, start = world.on_root(lambda: begin(out, resume, warnings))
    saved = start[1] if start and world.root else None
    with DataFile(settings.data.path, world.comm) as file:
        run = Run(settings, file, world, network)
    if start:
        run.load(start[0], saved)
    # Only now that nothing is left to be refused does the run touch its folder.
    world.on_root(lambda: make_folder(folder, settings))
    from distnn.config import to_dict

    told = _listen(settings, folder, listener) if world.root else None
    saver = Saver(
        folder / "checkpoints", settings.checkpoint, to_dict(settings), run.model, run.step, environment(world), told
    )
    if start:
        saver.began_at(start[0], run.progress)
    if saved and settings.parallel.reproducible:
        warnings += other_bits(saved, settings, saver.environment)
    if told:
        for text in warnings:
            told.warned(text)
        if start:
            told.resumed(start[0], run.progress.step)
        told.started(_info(run, folder))
    loop = Loop(settings, run.step, run.evaluators, run.schedule, saver, run.progress, world, told, max_time, folder)
    try:
        if settings.log.trace:
            run.step.timeline = Timeline(world)
        with StopSignals() as signals:
            summary = loop.run(signals)
        if run.step.timeline:
            _write(run.step.timeline, folder, told)
        if told:
            told.finished(summary)
    finally:
        run.close()
        if told:
            told.close()
    return summary, run


def _write(timeline: Timeline, folder: Path, told: Listener | None) -> None:
    """Write the timeline; a run that has finished doesn't fail for it."""
    try:
        timeline.write(folder / "trace.json")
    except DataError as error:
        if told:
            told.warned(str(error))


def _listen(settings: RunSettings, folder: Path, listener: Listener | None) -> Listener:
    metrics = MetricsFile(folder / "metrics.jsonl", settings.log.interval, (listener or Listener()).warned)
    return Listeners([metrics, *([listener] if listener else [])])


def _model(settings: RunSettings, file: DataFile, network: Network | None) -> Model:
    facts: dict[str, Any] = {"task": file.task, "classes": file.classes, "target_shape": file.target_shape}
    if network is not None:
        model = Model(network, file.sample_shape, loss=Loss(**settings.loss.model_dump()), **facts)
    else:
        model = build(settings.model, file.sample_shape, loss=settings.loss, **facts)
    if settings.data.streams and not model.states:
        why = "the model has no state to carry along them" if file.task == "language" else f"the task is {file.task}"
        raise RunFileError(
            f"data.streams = true is for recurrent language models on text, but with {file.path} {why}; remove it."
        )
    return model


def _batch_size(settings: RunSettings, file: DataFile) -> int:
    samples = file.count("train")
    if settings.data.batch_size == "full":
        return samples
    if settings.data.batch_size > samples:
        raise DataError(
            f"data.batch_size is {settings.data.batch_size}, but {file.path} has only {samples} training samples; "
            f'choose at most that many, or batch_size = "full" for batch gradient descent.'
        )
    return settings.data.batch_size


def _settle_threads(settings: ParallelSettings, world: World) -> None:
    """As many BLAS threads as the run file says; one where bits matter, for two sum in another order than one."""
    if settings.threads:
        world.use_threads(settings.threads, "parallel.threads in the run file")
    elif settings.reproducible:
        world.use_threads(1, "parallel.reproducible; parallel.threads sets another number")


def _info(run: Run, folder: Path) -> RunInfo:
    world = run.world
    return RunInfo(
        out=folder,
        model=run.model.description,
        parameters=run.parameters.count,
        ranks=world.size,
        hosts=len(set(world.hosts)),
        threads=world.threads.count,
        threads_reason=world.threads.reason,
        samples=run.samples,
        batch_size=run.batch_size,
        epochs=run.settings.train.epochs,
        steps_per_epoch=run.step.windows,
        start_step=run.progress.step,
        start_epoch=run.progress.epoch,
        data=Path(run.settings.data.path),
        blas=blas(),
        kernels=run.kernels,
    )
