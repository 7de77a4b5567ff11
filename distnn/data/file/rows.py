"""What the samples of a field are read from: `Rows`, such as a dataset of a file, or several datasets joined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from distnn.arrays import Array


class Rows(Protocol):
    """Rows that are read a slice at a time, and look like one h5py dataset whose first axis counts samples.

    What is made of other rows names them in its attribute ``parts``; see `leaves`.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, …): the number of rows, and the shape of one."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that they are read in, perhaps in the other byte order than this machine's."""

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """The shape of a chunk, whose rows are best read together; None if there are no chunks."""

    def read_direct(self, target: Array, where: slice) -> None:
        """Read the rows start..stop, which must be numbers, into ``target``: contiguous, and of native byte order."""


def leaves(rows: Any) -> Iterator[Any]:
    """The datasets that rows are read from in the end."""
    parts = getattr(rows, "parts", None)
    if parts is None:
        yield rows
    else:
        for part in parts:
            yield from leaves(part)


def names_of(rows: Any) -> tuple[str, ...]:
    """What the places along the last axis of rows are called; empty if that isn't known.

    Rows that don't say it have the same as their parts.
    """
    names: tuple[str, ...] | None = getattr(rows, "names", None)
    if names is not None:
        return names
    found = {names_of(part) for part in getattr(rows, "parts", ())}
    return found.pop() if len(found) == 1 else ()


def bytes_of_one(values: Any) -> int:
    """The bytes of one row of a dataset or an array."""
    return int(np.prod(values.shape[1:], dtype=np.int64)) * int(values.dtype.itemsize)


class Joined:
    """Rows joined along their first axis.

    Arguments:
        parts: at least one; all have the same type, and the same shape except for the first axis.
    """

    def __init__(self, parts: Sequence[Rows]) -> None:
        self.parts = parts
        self.shape = (sum(part.shape[0] for part in parts), *parts[0].shape[1:])
        self.dtype, self.chunks = parts[0].dtype, parts[0].chunks

    def read_direct(self, target: Array, where: slice) -> None:
        """Read the rows start..stop into ``target``."""
        first = 0
        for part in self.parts:
            start, stop = max(where.start, first), min(where.stop, first + part.shape[0])
            if start < stop:
                inside = slice(start - first, stop - first)
                part.read_direct(target[start - where.start : stop - where.start], inside)
            first += part.shape[0]
