"""Samples from memory into a plan's input arrays, in an order that the seed and the epoch alone decide."""

from __future__ import annotations

import numpy as np

from distnn.data.augment import Augmentation
from distnn.data.hdf5 import DataFile
from distnn.data.partition import Range, part
from distnn.errors import DataError
from distnn.ops.op import Array
from distnn.randomness import generator


def permutation(samples: int, seed: int, epoch: int, shuffle: bool = True, streams: int = 0) -> Array:
    """The order of the samples in ``epoch`` (from 0): the same on every rank, keyed to (seed, epoch).

    With ``streams`` it is that of as many streams side by side, the contiguous pieces of all samples: first the first
    sample of each, then the second of each, and so on. Pieces that are one sample longer are the first ones.
    """
    if streams:
        starts = np.array([part(samples, streams, stream).start for stream in range(streams)], np.intp)
        position = np.arange(samples, dtype=np.intp)
        return starts[position % streams] + position // streams
    if not shuffle:
        return np.arange(samples, dtype=np.intp)
    return generator(seed, f"order/{epoch}").permutation(samples).astype(np.intp, copy=False)


class Loader:
    """A split in memory, copied batch by batch into input arrays.

    Integers stay as compact as they are stored, and are converted and scaled on the way: x_float = scale · x_int.

    Arguments:
        x: samples (N, …), of any integer or float type.
        y: targets (N,) or (N, …).
        scale: the factor for integers; None leaves the numbers as they are.
        augmentation: changes the samples at random on their way.

    Raises:
        DataError: if x and y differ in length.
    """

    def __init__(
        self, x: Array, y: Array, scale: float | None = None, augmentation: Augmentation | None = None
    ) -> None:
        if len(x) != len(y):
            raise DataError(f"x holds {len(x)} samples and y {len(y)}; they must be equal.")
        self.x, self.y = np.ascontiguousarray(x), np.ascontiguousarray(y)
        self.scale, self.augmentation = scale, augmentation
        self.order: Array = np.arange(len(x), dtype=np.intp)
        self._staging: dict[tuple[str, int], Array] = {}

    @classmethod
    def read(cls, file: DataFile, split: str, piece: Range | None = None) -> Loader:
        """The loader of a file's split, or of the piece of it at these positions.

        Raises:
            DataError: as `DataFile.read` does.
        """
        start, stop = piece or Range(0, file.count(split))
        return cls(*file.read(split, start, stop), file.scale)

    def __len__(self) -> int:
        return len(self.x)

    def fill(self, positions: Range, x: Array, y: Array | None) -> None:
        """Write the samples at these positions of the current order into ``x`` and ``y``, without allocating."""
        index = self.order[positions.start : positions.stop]
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
        key = (name, len(index))
        if key not in self._staging:
            self._staging[key] = np.empty((len(index), *source.shape[1:]), source.dtype)
        staging = self._staging[key]
        source.take(index, axis=0, out=staging, mode="clip")
        np.copyto(target, staging, casting="unsafe")
