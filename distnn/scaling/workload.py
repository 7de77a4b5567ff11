"""The work of a run, from its run file and the shapes in its data file."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from distnn.config import RunSettings
from distnn.data import DataFile, partition
from distnn.data.partition import Range
from distnn.graph.initial import parameter_nodes
from distnn.models import Model
from distnn.session.parts import batch_size


@dataclass(frozen=True)
class Workload:
    """The work of a run, on any number of ranks."""

    samples: int  #: of an epoch
    epochs: int
    batch_size: int  #: of all ranks together
    accumulate: int  #: batches for each update
    shards: int | None  #: the micro-shards of a batch; one for each rank if None
    elements: int  #: the length of the parameter vector
    message: int  #: bytes that each rank contributes to the sum
    sliced: bool  #: whether a node's ranks may sum and update by slices

    def pieces(self, samples: int, ranks: int) -> list[int]:
        """The lengths of rank 0's micro-shards in a step of ``samples`` samples; no other rank has more."""
        return [
            piece.positions.length
            for index in range(partition.batches(samples, self.batch_size))
            for piece in partition.micro_shards(
                Range(0, partition.batch(samples, self.batch_size, index).length), self.shards or ranks, ranks, 0
            )
        ]

    @property
    def steps(self) -> list[tuple[int, int]]:
        """The steps of an epoch, as (number of steps, samples of each)."""
        size = self.accumulate * self.batch_size
        whole, rest = divmod(self.samples, size)
        return [(count, samples) for count, samples in ((whole, size), (1, rest)) if count * samples]

    def lengths(self, ranks: Iterable[int]) -> list[int]:
        """The lengths of all micro-shards that occur on any of these numbers of ranks."""
        sizes = [size for _, size in self.steps]
        return sorted({length for count in ranks for size in sizes for length in self.pieces(size, count)})

    @classmethod
    def of(cls, settings: RunSettings, file: DataFile, model: Model) -> Workload:
        """The work of a run file with this model."""
        parallel, train = settings.parallel, settings.train
        shapes = [node.shape for node in parameter_nodes([model.output]).values()]
        elements = sum(math.prod(int(str(length)) for length in shape) for shape in shapes)
        itemsize = 8 if parallel.reproducible else np.dtype(train.dtype).itemsize  # fixed point has 64 bits
        return cls(
            samples=file.count("train"),
            epochs=train.epochs,
            batch_size=batch_size(settings, file),
            accumulate=train.accumulate,
            shards=parallel.shards,
            elements=elements,
            message=elements * itemsize,
            sliced=parallel.reduction != "allreduce" and not settings.optimizer.make().layerwise,
        )
