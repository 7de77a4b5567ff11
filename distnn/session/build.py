"""A run, assembled from its settings: the model, its state, and what it needs to be trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from distnn import checkpoint, runtime
from distnn.arrays import Array
from distnn.config import RunSettings
from distnn.config.sections import ParallelSettings
from distnn.data import DataFile
from distnn.data.partition import Batching
from distnn.data.source import Source
from distnn.errors import RunFileError, SharedMemoryError
from distnn.metrics import Metric
from distnn.models.model import Model
from distnn.optim import Optimizer, Schedule
from distnn.parallel.reduction.choose import choose_reduction
from distnn.parallel.reduction.gradients import tail_length
from distnn.parallel.threads import blas_threads
from distnn.parallel.world import World
from distnn.parameters import Memory
from distnn.session.compiling import prepare
from distnn.session.fitting import fit_transforms, warnings
from distnn.session.monitor import Monitor, monitor
from distnn.session.parts import NOTHING, Given, augmentation, batch_size, bucket_mb, memories, model
from distnn.session.progress import Progress
from distnn.session.samples import fits, sample_order, training_source
from distnn.train.evaluate import Evaluator, chunk
from distnn.train.step import Step
from distnn.train.timeline import Timeline
from distnn.train.update import ParameterUpdate


class Run:
    """A run, assembled: its model, its state, and what it needs to be trained.

    Arguments:
        given: objects to use instead of what the settings describe.
        fitted: what the file's transforms were fitted to before, by name; None if they have to be now.
        former: the same run on more ranks, whose training samples are taken over if they are in memory.

    Attributes:
        warnings: what a network may not learn from as the training samples are.

    Raises:
        DataError: if the batch is larger than the training split, or the data are bad.
        RunFileError, ShapeError: if the model doesn't fit the data, or the ranks.
    """

    def __init__(
        self,
        settings: RunSettings,
        file: DataFile,
        world: World,
        given: Given = NOTHING,
        fitted: Mapping[str, Array] | None = None,
        former: Run | None = None,
    ) -> None:
        self.settings, self.world, self.chains = settings, world, file.chains
        use_threads(settings.parallel)
        if fitted is not None:
            self.chains.load(fitted, "the checkpoint")
        made = None if self.chains.widens else model(settings, file, given)  # what doesn't fit is refused at once
        self.samples, self.batch_size = file.count("train"), batch_size(settings, file)
        self.held_out = {split: file.count(split) for split in file.splits if split != "train"}
        self.optimizer: Optimizer = given.optimizer or settings.optimizer.make()
        self.schedule: Schedule = given.schedule or settings.schedule.make()
        self.in_memory: bool = former.in_memory if former else fits(settings.data, file, world.comm)
        order = sample_order(settings, file, self.batch_size, in_memory=self.in_memory)
        self.loader: Source = (
            former.loader
            if former and self.in_memory
            else training_source(file, order, world.comm, augmentation(settings, file), in_memory=self.in_memory)
        )
        fit_transforms(file, self.loader, world)
        self.warnings: list[str] = world.comm.on_root(lambda: warnings(file, self.loader, settings.train.dtype))
        self.model = made or model(settings, file, given)
        check_whole_batches(self.model, settings, world)
        self.step = self._step()
        self.parameters = self.step.parameters
        self.kernels = self._kernels(file)
        metrics = settings.metrics.make() if given.metrics is None else given.metrics
        self.evaluators = {split: self._evaluator(file, split, metrics) for split in file.splits if split != "train"}
        train, sums = settings.train, self.model.layout.zeros()
        self.monitor: Monitor = monitor(train, metrics, self.model, file.splits)
        self.factor = self.schedule.over(self.step.windows, train.epochs)
        self.progress = Progress(
            train.seed, self.batch_size, train.accumulate, order.name, best_of=str(self.monitor), sums=sums
        )

    def _evaluator(self, file: DataFile, split: str, metrics: Sequence[Metric]) -> Evaluator:
        parts, groups = (self.model, self.parameters, file, split), self.settings.parallel.groups
        return Evaluator(*parts, self.world, groups, in_memory=self.in_memory, metrics=metrics)

    def _step(self) -> Step:
        """The training step, in the first kind of memory that there is enough of."""
        # Without some of the ranks there are neither their slices of what is shared, nor sums over whole batches.
        way = "allreduce" if self.world.failures.elastic else self.settings.parallel.reduction
        *possible, last = memories(way, self.world.comm, self.optimizer)
        for memory in possible:
            with suppress(SharedMemoryError):  # on every rank alike
                return self._step_in(memory)
        return self._step_in(last)

    def _step_in(self, memory: Memory) -> Step:
        """The training step, with the model's parameters in this memory."""
        train, parallel, world, layout = self.settings.train, self.settings.parallel, self.world, self.model.layout
        streams, shards = self.settings.data.streams, parallel.shards or world.comm.size
        batching = Batching(self.batch_size, shards, train.accumulate, streams, train.seed)
        parameters = self.model.initialize(
            train.seed, train.dtype, tail=tail_length(layout), minimum=world.comm.size, memory=memory
        )
        reduction = choose_reduction(
            world.comm,
            parameters,
            layout,
            memory,
            exact=batching.shards * batching.accumulate if parallel.reproducible else None,
            bucket_mb=None if world.failures.elastic or self.model.exchanges else bucket_mb(parallel, world.comm),
        )
        return Step(
            world,
            self.model,
            self.loader,
            reduction,
            ParameterUpdate(self.optimizer, parameters, memory),
            batching,
            clip_norm=train.clip_norm,
            timeline=Timeline(world.comm) if self.settings.log.trace else None,
        )

    def _kernels(self, file: DataFile) -> tuple[str, ...]:
        """The names of the compiled kernels, which are ready now."""
        shard = -(-self.batch_size // self.step.batching.shards)
        together = max(shard, *(chunk(file.count(split), file.sample_shape) for split in file.splits))
        exact = self.settings.parallel.reproducible
        return prepare(self.model, self.optimizer, self.parameters, self.world.comm, together, reproducible=exact)

    def close(self) -> None:
        """Let go of the data, if they are read as they are needed."""
        self.loader.close()
        for evaluator in self.evaluators.values():
            evaluator.close()

    def load(self, path: Path, saved: checkpoint.Checkpoint | None, *, comparable: bool = True) -> None:
        """Take over a checkpoint, which rank 0 has read.

        Arguments:
            comparable: whether its best value can be compared with those to come.

        Raises:
            CheckpointError: if it belongs to another model, optimiser or order of samples.
        """

        def take() -> dict[str, Any]:
            assert saved is not None
            self.progress.resume(
                self.monitor.kept(saved.progress, comparable=comparable) | {"best_of": str(self.monitor)}, str(path)
            )
            checkpoint.fit_into(saved.parameters, self.parameters.value, path)
            for name, vector in self.step.update.slots.items():
                if name in saved.optimizer:
                    checkpoint.fit_into(saved.optimizer[name], self.parameters.views(vector), path)
            if self.progress.window:
                checkpoint.fit_into(saved.state, self.step.carried.state, path, what="states of streams")
            return self.progress.to_dict()

        self._spread(self.world.comm.on_root(take), 0)

    def take_over(self, former: Run | None, progress: Progress | None, leader: int) -> None:
        """Take over the state of the rank ``leader``, which has it in its ``former`` run, at this progress."""
        if former and progress and self.world.comm.rank == leader:
            progress.exponents = former.step.reduction.gradients.exponents
            for vector, before in zip(self._state, former._state, strict=True):
                np.copyto(vector, before)
        self._spread(self.world.comm.bcast(progress and progress.to_dict(), leader), leader)

    def _spread(self, progress: dict[str, Any], rank: int) -> None:
        """Give every rank this progress, and the state that one of them has."""
        self.progress.load(progress)
        self.step.reduction.gradients.load(self.progress.exponents)
        for vector in self._state:
            self.world.comm.share(vector, rank)
        self.world.failures.confirm()

    @property
    def _state(self) -> list[Array]:
        """What training changes: the parameters, the optimiser's state, and what recurrent models carry along."""
        return [self.parameters.values, *self.step.update.slots.values(), *self.step.carried.state.values()]


def use_threads(settings: ParallelSettings) -> None:
    """As many as the run file says; one BLAS thread where bits matter, for two sum in another order than one."""
    if settings.threads:
        runtime.use_cores(settings.threads)
        blas_threads.use(settings.threads, "parallel.threads in the run file")
    elif settings.reproducible:
        blas_threads.use(1, "parallel.reproducible; parallel.threads sets another number")


def check_whole_batches(model: Model, settings: RunSettings, world: World) -> None:
    """Refuse batch norm over whole mini-batches where these can't be computed by all ranks at once.

    Raises:
        RunFileError: with the setting that stands against it.
    """
    if not model.exchanges:
        return
    what, shards = "the model has batch norm over whole mini-batches (whole = true), ", settings.parallel.shards
    if world.failures.elastic:
        raise RunFileError(
            f"{what}which is cut into as many micro-shards as there are ranks; leave it out, or set "
            f"parallel.elastic = false."
        )
    if settings.parallel.reproducible:
        raise RunFileError(
            f"{what}whose sums over the ranks depend on their number; leave it out, or set "
            f"parallel.reproducible = false."
        )
    if shards and shards != world.comm.size:
        raise RunFileError(
            f"{what}for which all micro-shards must be computed at the same time, one on each rank; but "
            f"parallel.shards is {shards} and the number of ranks {world.comm.size}. Leave out one of the two settings."
        )
