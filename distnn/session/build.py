"""A run, assembled from its settings: the model, its state, and what it needs to be trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from distnn import checkpoint
from distnn.arrays import Array
from distnn.data.file.hdf5 import DataFile
from distnn.data.loader import Loader
from distnn.errors import RunFileError, SharedMemoryError
from distnn.models.model import Network
from distnn.parallel.threads import blas_threads
from distnn.parallel.world import World
from distnn.parameters import Memory
from distnn.session.compiling import prepare
from distnn.session.parts import augmentation, batch_size, bucket_mb, memories, model, optimizer, schedule
from distnn.session.progress import Progress
from distnn.session.samples import fits, sample_order, training_source
from distnn.train.evaluate import Evaluator, chunk
from distnn.train.step import TAIL, Step

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
        former: the same run on more ranks, whose training samples are taken over if they are in memory.

    Raises:
        DataError: if the batch is larger than the training split, or the data are bad.
        RunFileError, ShapeError: if the model doesn't fit the data, or the ranks.
    """

    def __init__(
        self,
        settings: RunSettings,
        file: DataFile,
        world: World,
        network: Network | None = None,
        former: Run | None = None,
    ) -> None:
        self.settings, self.world = settings, world
        comm, elastic = world.comm, world.failures.elastic
        use_threads(settings.parallel)
        self.model = model(settings, file, network)
        train, samples = settings.train, file.count("train")
        self.batch_size = batch_size(settings, file)
        self.optimizer = optimizer(settings)
        self.in_memory: bool = former.in_memory if former else fits(settings.data, file, comm)
        in_memory = self.in_memory
        order = sample_order(settings, file, self.batch_size, in_memory=in_memory)
        self.loader: Loader = (
            former.loader if former and in_memory else training_source(file, order, comm, in_memory=in_memory)
        )
        self.loader.augmentation = augmentation(settings, file)
        # Without some of the ranks there are neither their slices of what is shared, nor sums over whole batches.
        possible = memories("allreduce" if elastic else settings.parallel.reduction, comm, self.optimizer)
        if elastic and self.model.exchanges:
            raise RunFileError(
                "the model has batch normalisation over whole mini-batches (whole = true), which is cut into as many "
                "micro-shards as there are ranks; leave it out, or set parallel.elastic = false."
            )
        while True:
            try:
                self.step = self._step(possible.pop(0))
                break
            except SharedMemoryError:  # on every rank alike
                if not possible:
                    raise
        self.parameters = self.step.parameters
        exact = settings.parallel.reproducible
        together = [-(-self.batch_size // self.step.shards), *(chunk(file.count(split)) for split in file.splits)]
        self.kernels = prepare(self.model, self.optimizer, self.parameters, comm, max(together), reproducible=exact)
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
        parameters = self.model.initialize(train.seed, train.dtype, tail=TAIL, minimum=world.comm.size, memory=memory)
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
            bucket_mb=None if world.failures.elastic else bucket_mb(self.settings.parallel, world.comm),
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

        self._spread(self.world.comm.on_root(take), 0)

    def take_over(self, former: Run | None, progress: Progress | None, leader: int) -> None:
        """Take over the state of the rank ``leader``, which has it in its ``former`` run, at this progress."""
        if former and progress and self.world.comm.rank == leader:
            progress.exponents = former.step.gradients.exponents
            for vector, before in zip(self._state, former._state, strict=True):
                np.copyto(vector, before)
        self._spread(self.world.comm.bcast(progress and progress.to_dict(), leader), leader)

    def _spread(self, progress: dict[str, Any], rank: int) -> None:
        """Give every rank this progress, and the state that one of them has."""
        for key, value in progress.items():
            setattr(self.progress, key, value)
        self.step.gradients.load(self.progress.exponents)
        for vector in self._state:
            self.world.comm.share(vector, rank)
        self.world.failures.confirm()

    @property
    def _state(self) -> list[Array]:
        """What training changes: the parameters, the optimiser's state, and what recurrent models carry along."""
        return [self.parameters.values, *self.step.slots.values(), *self.step.carried.state.values()]


def use_threads(settings: ParallelSettings) -> None:
    """As many BLAS threads as the run file says; one where bits matter, for two sum in another order than one."""
    if settings.threads:
        blas_threads.use(settings.threads, "parallel.threads in the run file")
    elif settings.reproducible:
        blas_threads.use(1, "parallel.reproducible; parallel.threads sets another number")
