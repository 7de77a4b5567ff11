"""What a run has to do, as its run file and the shapes in its data file say."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from distnn.data import partition
from distnn.data.file.hdf5 import DataFile
from distnn.data.partition import Range
from distnn.graph.initial import parameter_nodes
from distnn.models import Model

if TYPE_CHECKING:
    from distnn.config import RunSettings


@dataclass(frozen=True)
class Work:
    """What a run has to do, on any number of ranks.

    Attributes:
        samples: of an epoch, and ``epochs`` of them.
        batch_size: of all ranks together, and ``accumulate`` batches for each update.
        shards: the micro-shards of a batch; one for each rank if None.
        elements: of the parameter vector.
        message: bytes that each rank gives to the sum.
        sliced: whether a node's ranks may sum and update by slices.
    """

    samples: int
    epochs: int
    batch_size: int
    accumulate: int
    shards: int | None
    elements: int
    message: int
    sliced: bool

    def pieces(self, samples: int, ranks: int) -> list[int]:
        """The lengths of the micro-shards that the rank with most has in a step of so many samples: rank 0."""
        return [
            piece.positions.length
            for index in range(partition.batches(samples, self.batch_size))
            for piece in partition.micro_shards(
                Range(0, partition.batch(samples, self.batch_size, index).length), self.shards or ranks, ranks, 0
            )
        ]

    @property
    def steps(self) -> list[tuple[int, int]]:
        """The steps of an epoch: how many, of how many samples each."""
        whole, rest = divmod(self.samples, self.accumulate * self.batch_size)
        return [
            (count, size) for count, size in ((whole, self.accumulate * self.batch_size), (1, rest)) if count * size
        ]

    def lengths(self, ranks: Iterable[int]) -> list[int]:
        """All the micro-shards' lengths that a step on one of these numbers of ranks has."""
        sizes = [size for _, size in self.steps]
        return sorted({length for count in ranks for size in sizes for length in self.pieces(size, count)})

    @classmethod
    def of(cls, settings: RunSettings, file: DataFile, model: Model, batch_size: int) -> Work:
        """The work of a run file with this model."""
        parallel, train = settings.parallel, settings.train
        shapes = [node.shape for node in parameter_nodes([model.output]).values()]
        elements = sum(math.prod(int(str(length)) for length in shape) for shape in shapes)
        itemsize = 8 if parallel.reproducible else np.dtype(train.dtype).itemsize  # fixed point has 64 bits
        return cls(
            samples=file.count("train"),
            epochs=train.epochs,
            batch_size=batch_size,
            accumulate=train.accumulate,
            shards=parallel.shards,
            elements=elements,
            message=elements * itemsize,
            sliced=parallel.reduction != "allreduce" and not settings.optimizer.make().layerwise,
        )
