"""What the samples of a field are read from: `Rows`, such as a dataset of a file."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from distnn.arrays import Array

#: Up to how many bytes of a dataset its hash is of all of it; else it is of so many rows.
HASHED_BYTES, HASHED_ROWS = 1024 * 1024, 8


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
    return int(math.prod(values.shape[1:]) * values.dtype.itemsize)


def scattered(rows: Any) -> bool:
    """Whether each row lies in a file of its own, or in one of few rows, so that many files must be opened."""
    return getattr(rows, "scattered", False) or any(map(scattered, getattr(rows, "parts", None) or ()))


def hash_of(rows: Rows) -> str:
    """A hash of all rows of a small dataset, or of some of a large one.

    Raises:
        OSError, RuntimeError: h5py's, for what can't be read.
    """
    count, hasher = rows.shape[0], hashlib.sha256()
    small = count * bytes_of_one(rows) <= HASHED_BYTES and not scattered(rows)
    some = () if small else map(int, np.linspace(0, count - 1, HASHED_ROWS, dtype=int))
    for start, stop in [(0, count)] if small else [(row, row + 1) for row in some]:
        values = np.empty((stop - start, *rows.shape[1:]), rows.dtype)
        rows.read_direct(values, np.s_[start:stop])
        hasher.update(values.tobytes())
    return hasher.hexdigest()[:16]
