"""Where samples come from: what gives them to a plan's input arrays, in an order that the seed and the epoch decide."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from distnn.arrays import Array
from distnn.data.augment import Augmentation
from distnn.data.order import Order
from distnn.data.partition import Range


class SampleBlock(NamedTuple):
    """Samples of some positions of an epoch that follow each other.

    Attributes:
        number: of the block in the epoch's order.
        samples: which samples of the split they are, position by position.
        rows: where in ``x`` and ``y`` they are.
        x, y: arrays that hold them.
    """

    number: int
    samples: Array
    rows: Array
    x: Array
    y: Array


class Source(ABC):
    """Gives the samples of a split, or of a piece of it: copies them from blocks of an order, whatever holds these.

    Integers stay as compact as they are stored, and are converted and scaled on the way: x_float = scale · x_int.

    Arguments:
        order: of the samples in an epoch.
        scale: the factor for integers; None leaves the numbers as they are.
        augmentation: changes the samples at random on their way.
    """

    def __init__(self, order: Order, scale: float | None, augmentation: Augmentation | None) -> None:
        self.order, self.scale, self.augmentation = order, scale, augmentation
        self._staging: dict[str, Array] = {}
        self._index = np.empty(0, np.intp)
        self._block: SampleBlock | None = None
        self.begin(0, 0)

    def __len__(self) -> int:
        return self.order.samples

    def begin(self, seed: int, epoch: int) -> None:
        """Draw the order of ``epoch``, from 0, and the changes of its samples."""
        self.order.begin(seed, epoch)
        self._block = None
        if self.augmentation is not None:
            self.augmentation.draw(seed, epoch)

    @abstractmethod
    def close(self) -> None:
        """Let go of what isn't memory."""

    @abstractmethod
    def _load(self, number: int) -> SampleBlock:
        """The block of this number in the epoch."""

    def numbers(self, positions: Range) -> Array:
        """Which samples of the split are at these positions of the epoch's order; good until the next call."""
        for _ in self._blocks(positions):
            pass
        return self._index[: positions.length]

    def fill(self, positions: Range, x: Array, y: Array | None) -> None:
        """Write the samples at these positions of the epoch's order into ``x`` and ``y``, without allocating.

        Raises:
            DataError: if they are read from a file that can't be read, or holds what it shouldn't.
        """
        for block, rows, place in self._blocks(positions):
            self._gather(block.x, rows, x[place], "x")
            if y is not None:
                self._gather(block.y, rows, y[place], "y")
        if self.scale is not None:
            np.multiply(x, self.scale, out=x)
        if self.augmentation is not None:
            self.augmentation.apply(x, self._index[: positions.length])

    def _blocks(self, positions: Range) -> Iterator[tuple[SampleBlock, Array, slice]]:
        """The blocks at these positions, with the rows of each, and which of the positions they are."""
        if len(self._index) < positions.length:
            self._index = np.empty(positions.length, np.intp)
        start = 0
        for number, within in self.order.sections(positions):
            if self._block is None or self._block.number != number:
                self._block = self._load(number)
            inside, place = slice(*within), slice(start, start + within.length)
            np.copyto(self._index[place], self._block.samples[inside])
            yield self._block, self._block.rows[inside], place
            start = place.stop

    def _gather(self, source: Array, rows: Array, target: Array, name: str) -> None:
        if source.dtype == target.dtype:
            # "raise" would copy through a buffer; positions are right by construction
            source.take(rows, axis=0, out=target, mode="clip")
            return
        if name not in self._staging or len(self._staging[name]) < len(rows):
            self._staging[name] = np.empty((len(rows), *source.shape[1:]), source.dtype)
        staging = self._staging[name][: len(rows)]
        source.take(rows, axis=0, out=staging, mode="clip")
        np.copyto(target, staging, casting="unsafe")
