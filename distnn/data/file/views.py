"""Rows made of other rows, as they are read: picked, turned, joined side by side, and values put another way.

Nothing but the rows that are asked for is read, and of a table nothing but the columns.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distnn.arrays import Array
from distnn.data.file.rows import Rows
from distnn.data.file.stored import Stored

#: The axes of a dataset in the order in which they are wanted, by the layout, and how many there are: at least two.
LAYOUTS: dict[str, Callable[[int], tuple[int, ...]]] = {
    "channels_first": lambda axes: (0, *range(2, axes), 1),
    "samples_last": lambda axes: (axes - 1, *range(axes - 1)),
    "reversed": lambda axes: (*range(axes - 1, -1, -1),),
    "reversed_samples": lambda axes: (0, *range(axes - 1, 0, -1)),
}


class Changed:
    """Rows whose values are made of the same rows of others.

    Arguments:
        part: the others.
        change: makes them: ``change(rows, target, start)`` fills ``target``, which is contiguous, from ``rows``, of
            which the first has the number ``start``.
        shape, dtype: of what it makes; those of ``part`` if None.
        names: what the places along the last axis are called then; empty if that isn't known.
    """

    def __init__(
        self,
        part: Any,
        change: Callable[[Array, Array, int], object],
        *,
        shape: tuple[int, ...] | None = None,
        dtype: Any = None,
        names: tuple[str, ...] = (),
    ) -> None:
        self.parts, self.names, self._change = (part,), names, change
        self.shape: tuple[int, ...] = part.shape if shape is None else shape
        self.dtype: np.dtype[Any] = _native(part.dtype) if dtype is None else np.dtype(dtype)
        self.chunks = (part.chunks[0], *self.shape[1:]) if part.chunks else None

    def read_direct(self, target: Array, where: slice) -> None:
        """Read the rows start..stop into ``target``."""
        (part,) = self.parts
        rows = np.empty((where.stop - where.start, *part.shape[1:]), _native(part.dtype))
        part.read_direct(rows, where)
        self._change(rows, target, where.start)


class Single:
    """A dataset that is a single row, (1, …).

    Arguments:
        part: the dataset.
    """

    axis = 0

    def __init__(self, part: Stored) -> None:
        self.parts: tuple[Stored, ...] = (part,)
        self.names = part.names
        self.shape, self.dtype = (1, *part.shape), _native(part.dtype)
        self.chunks = (1, *part.chunks) if part.chunks else None

    def read_direct(self, target: Array, where: slice) -> None:
        """Read the row, if it is asked for, into ``target``."""
        (part,) = self.parts
        if len(target) and part.shape:
            part.read_direct(target[0], slice(0, part.shape[0]))
        elif len(target):
            target[0] = part[()]


class Turned:
    """A dataset whose axes are read in another order.

    Arguments:
        part: the dataset.
        axes: those of the dataset, in the order in which they are wanted; the first is the dataset's `Stored.axis`.
    """

    def __init__(self, part: Stored | Single, axes: Sequence[int]) -> None:
        self.parts, self._axes = (part,), axes
        self.names = part.names if axes[-1] == len(axes) - 1 else ()
        self.shape = tuple(part.shape[axis] for axis in axes)
        self.chunks = tuple(part.chunks[axis] for axis in axes) if part.chunks else None
        self.dtype: np.dtype[Any] = _native(part.dtype)

    def read_direct(self, target: Array, where: slice) -> None:
        """Read the rows start..stop into ``target``."""
        (part,) = self.parts
        shape = [*part.shape]
        shape[part.axis] = where.stop - where.start
        rows = np.empty(shape, self.dtype)
        part.read_direct(rows, where)
        np.copyto(target, rows.transpose(self._axes))


class TableColumns:
    """Columns of a table, side by side: (N, columns).

    Arguments:
        part: a dataset (N,) of a compound type.
        columns: each by its name, as the field of the type and the place within it, () if it is a single number.
    """

    def __init__(self, part: Stored, columns: dict[str, tuple[str, tuple[int, ...]]]) -> None:
        self.parts, self.names, self._columns = (part,), tuple(columns), list(columns.values())
        self._needed = np.dtype([(field, part.dtype[field]) for field in dict.fromkeys(f for f, _ in self._columns)])
        self.types = [self._needed[field].base for field, _ in self._columns]
        self.shape, self.dtype = (part.shape[0], len(columns)), common(self.types)
        self.chunks = (part.chunks[0], len(columns)) if part.chunks else None

    def read_direct(self, target: Array, where: slice) -> None:
        """Read the rows start..stop into ``target``."""
        (part,) = self.parts
        rows = np.empty(where.stop - where.start, self._needed)
        part.read_direct(rows, where)
        for number, (field, place) in enumerate(self._columns):
            column: Any = rows[field]
            target[:, number] = column[:, *place]


class Beside:
    """Rows side by side: joined along their last axis.

    Arguments:
        parts: at least one; all have the same shape except for the last axis. The type is the smallest that holds all.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = parts
        widths = [part.shape[-1] for part in parts]
        self._edges = list(itertools.accumulate(widths, initial=0))
        self.types = [part.dtype for part in parts]
        self.shape, self.dtype = (*parts[0].shape[:-1], sum(widths)), common(self.types)
        names = [part.names or ("",) * width for part, width in zip(parts, widths, strict=True)]
        self.names = tuple(itertools.chain(*names)) if all(map(all, names)) else ()
        self.chunks = (parts[0].chunks[0], *self.shape[1:]) if parts[0].chunks else None

    def read_direct(self, target: Array, where: slice) -> None:
        """Read the rows start..stop into ``target``."""
        for part, (start, stop) in zip(self.parts, itertools.pairwise(self._edges), strict=True):
            rows = np.empty((where.stop - where.start, *part.shape[1:]), _native(part.dtype))
            part.read_direct(rows, where)
            target[..., start:stop] = rows


def picked(part: Any, channels: Sequence[int]) -> Rows:
    """Some of the places along the last axis."""
    names = tuple(part.names[channel] for channel in channels) if part.names else ()
    return Changed(
        part,
        lambda rows, target, start: rows.take(channels, axis=-1, out=target, mode="clip"),
        shape=(*part.shape[:-1], len(channels)),
        names=names,
    )


def reshaped(part: Any, shape: tuple[int, ...], names: tuple[str, ...] = ()) -> Rows:
    """The same values in rows of another shape."""
    return Changed(
        part, lambda rows, target, start: np.copyto(target, rows.reshape(target.shape)), shape=shape, names=names
    )


def as_column(part: Any, name: str) -> Rows:
    """Rows of a single number as (N, 1), by this name; others as they are."""
    return reshaped(part, (*part.shape, 1), (name,)) if len(part.shape) == 1 else part


def common(types: Sequence[np.dtype[Any]]) -> np.dtype[Any]:
    """The smallest type that holds all values of these, or the nearest to it that numpy has."""
    return _native(np.result_type(*types))


def loses(types: Sequence[np.dtype[Any]]) -> bool:
    """Whether `common` of these can't hold all of their values: integers from 2⁵³ on become floats."""
    whole = {
        np.dtype(np.float16): 11,
        np.dtype(np.float32): 24,
        np.dtype(np.float64): 53,
    }  # bits that they hold exactly
    bits = whole.get(common(types), 64) if types else 64
    return any(each.kind in "iu" and each.itemsize * 8 > bits for each in types)


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type in this machine's byte order; h5py's types of texts would lose what they say of themselves."""
    return dtype if dtype.kind == "O" else dtype.newbyteorder("=")
