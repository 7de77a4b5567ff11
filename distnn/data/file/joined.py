"""The datasets of several files, read as one dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from distnn.arrays import Array


class Joined:
    """Datasets joined along their first axis, and read like one h5py dataset.

    Arguments:
        parts: at least one dataset; all have the same type, and the same shape except for the first axis.

    Attributes:
        shape, dtype: those of the joined dataset.
        chunks: those of the first part.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = list(parts)
        self._ends = np.cumsum([part.shape[0] for part in parts])
        self.shape: tuple[int, ...] = (int(self._ends[-1]), *parts[0].shape[1:])
        self.dtype: np.dtype[Any] = parts[0].dtype
        self.chunks: tuple[int, ...] | None = parts[0].chunks

    def __getitem__(self, where: slice) -> Array:
        """The rows start..stop, as an array."""
        rows = np.empty((where.stop - where.start, *self.shape[1:]), self.dtype)
        self.read_direct(rows, where)
        return rows

    def read_direct(self, target: Array, where: slice) -> None:
        """Read the rows start..stop into ``target``."""
        for part, inside, place in self._pieces(where):
            part.read_direct(target[place], inside)

    def _pieces(self, where: slice) -> Iterator[tuple[Any, slice, slice]]:
        """The parts that hold these rows, each with the slice to read and the slice of the target that it fills."""
        for part, end in zip(self.parts, self._ends.tolist(), strict=True):
            first = end - part.shape[0]
            start, stop = max(where.start, first), min(where.stop, end)
            if start < stop:
                yield part, slice(start - first, stop - first), slice(start - where.start, stop - where.start)
