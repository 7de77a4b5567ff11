"""Samples from memory into a plan's input arrays, in an order that the seed and the epoch alone decide."""

from __future__ import annotations

import numpy as np

from distnn.data.augment import Augmentation
from distnn.data.hdf5 import DataFile
from distnn.data.order import Order, stored
from distnn.data.partition import Range
from distnn.errors import DataError
from distnn.ops.op import Array


class Loader:
    """A split in memory, copied batch by batch into input arrays.

    Integers stay as compact as they are stored, and are converted and scaled on the way: x_float = scale · x_int.

    Arguments:
        x: samples (N, …), of any integer or float type.
        y: targets (N,) or (N, …).
        scale: the factor for integers; None leaves the numbers as they are.
        augmentation: changes the samples at random on their way.
        order: of the samples in an epoch; as they are stored if None.

    Raises:
        DataError: if x and y differ in length.
    """

    def __init__(
        self,
        x: Array,
        y: Array,
        scale: float | None = None,
        augmentation: Augmentation | None = None,
        order: Order | None = None,
    ) -> None:
        if len(x) != len(y):
            raise DataError(f"x holds {len(x)} samples and y {len(y)}; they must be equal.")
        self.x, self.y = np.ascontiguousarray(x), np.ascontiguousarray(y)
        self.scale, self.augmentation = scale, augmentation
        self.order = order or stored(len(x))
        self._room = np.empty(self.order.longest, np.intp)
        self._staging: dict[str, Array] = {}
        self._index = self._numbers = np.empty(0, np.intp)
        self._block = -1
        self.begin(0, 0)

    @classmethod
    def read(cls, file: DataFile, split: str, piece: Range | None = None, order: Order | None = None) -> Loader:
        """The loader of a file's split, or of the piece of it at these positions.

        Raises:
            DataError: as `DataFile.read` does.
        """
        start, stop = piece or Range(0, file.count(split))
        return cls(*file.read(split, start, stop), file.scale, order=order)

    def __len__(self) -> int:
        return len(self.x)

    def begin(self, seed: int, epoch: int) -> None:
        """Draw the order of ``epoch``, from 0, and the changes of its samples."""
        self.order.begin(seed, epoch)
        self._block = -1
        if self.augmentation is not None:
            self.augmentation.draw(seed, epoch)

    def numbers(self, positions: Range) -> Array:
        """Which samples of the split are at these positions of the epoch's order; good until the next call."""
        if len(self._index) < positions.length:
            self._index = np.empty(positions.length, np.intp)
        found, start = self._index[: positions.length], 0
        for block, within in self.order.sections(positions):
            if block != self._block:
                self._block, self._numbers = block, self.order.numbers(block, self._room)
            np.copyto(found[start : start + within.length], self._numbers[within.start : within.stop])
            start += within.length
        return found

    def fill(self, positions: Range, x: Array, y: Array | None) -> None:
        """Write the samples at these positions of the epoch's order into ``x`` and ``y``, without allocating."""
        index = self.numbers(positions)
        self._gather(self.x, index, x, "x")
        if self.scale is not None:
            np.multiply(x, self.scale, out=x)
        if self.augmentation is not None:
            self.augmentation.apply(x, index)
        if y is not None:
            self._gather(self.y, index, y, "y")

    def _gather(self, source: Array, index: Array, target: Array, name: str) -> None:
        if source.dtype == target.dtype:
            # "raise" would copy through a buffer; positions are right by construction
            source.take(index, axis=0, out=target, mode="clip")
            return
        if name not in self._staging or len(self._staging[name]) < len(index):
            self._staging[name] = np.empty((len(index), *source.shape[1:]), source.dtype)
        staging = self._staging[name][: len(index)]
        source.take(index, axis=0, out=staging, mode="clip")
        np.copyto(target, staging, casting="unsafe")
