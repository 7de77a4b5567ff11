"""Datasets whose chunks pass filters, read so that each chunk is unpacked once however few of its rows are wanted.

HDF5 unpacks a whole chunk for any of its values, and keeps only small ones. Where a chunk has more rows than are read
at a time (all of them, or some columns of all), it would be unpacked for each reading: the cost would grow with the
square of the size.
"""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any, Protocol

import h5py
import numpy as np

from distnn import runtime
from distnn.arrays import Array
from distnn.data.file.unpacking import Filters
from distnn.data.file.workers import in_order

#: A dataset's slabs are kept up to so many bytes together, and the last one alone up to so many.
KEPT, LARGEST = 64 * 1024 * 1024, 512 * 1024 * 1024


class Chunked(Protocol):
    """An h5py dataset in chunks, that can be read and checked by HDF5."""

    id: Any
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]

    def read_rows(self, target: Array, start: int, stop: int) -> None:
        """Read the rows start..stop, by HDF5, into a contiguous array of their own."""

    def check_length(self, offset: tuple[int, ...], length: int) -> None:
        """Refuse the chunk at this offset if so many bytes are too few for its values."""


class Slabs:
    """The slabs of a dataset: all chunks that hold the same rows, side by side.

    A slab that is read in parts is kept until its last row is read, or too many others are.

    Arguments:
        dataset: in chunks, and with filters; it outlives this.
        axis: the one that counts the rows.

    Attributes:
        length: how many rows a slab has.
    """

    def __init__(self, dataset: Chunked, axis: int) -> None:
        self._dataset, self._axis = weakref.proxy(dataset), axis  # else neither would be freed at once
        self._shape: tuple[int, ...] = dataset.shape
        self._chunks: tuple[int, ...] = dataset.chunks
        self.length, self._rows = self._chunks[axis], self._shape[axis]
        self._filters = Filters(dataset.id.get_create_plist())
        self._kept: dict[tuple[int, np.dtype[Any]], Array] = {}

    @cached_property
    def nbytes(self) -> int:
        """The bytes of a slab in memory."""
        return math.prod(self._shape) // max(1, self._rows) * self.length * int(self._dataset.dtype.itemsize)

    @property
    def chunk_bytes(self) -> int:
        """The bytes of a chunk in memory."""
        return math.prod(self._chunks) * int(self._dataset.dtype.itemsize)

    @property
    def at_a_time(self) -> int:
        """How many chunks are unpacked at the same time."""
        return max(1, min(runtime.cores(), KEPT // self.chunk_bytes))

    @cached_property
    def _as_in_memory(self) -> bool:
        """Whether the values are stored as numpy has them, but perhaps for their byte order."""
        dtype = self._dataset.dtype
        plain = dtype.kind in "biuf" or (dtype.names is not None and not dtype.hasobject)
        return plain and bool(self._dataset.id.get_type() == h5py.h5t.py_create(dtype, logical=True))

    def _unpacks(self, dtype: np.dtype[Any]) -> bool:
        """Whether the chunks are unpacked here for an array of this type."""
        return self._filters.known and self._as_in_memory and _alike(dtype, self._dataset.dtype)

    def read(self, target: Array, start: int, stop: int) -> None:
        """Read the rows start..stop into ``target``."""
        for low, high in self._pieces(start, stop):
            self._read(target[self._at(low - start, high - start)], low, high)

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """The rows: those of a first and of a last slab of which there are some, and whole ones together."""
        first = min(-(-start // self.length) * self.length, stop)
        last = stop if stop == self._rows else max(first, stop - stop % self.length)
        yield from ((low, high) for low, high in itertools.pairwise([start, first, last, stop]) if low < high)

    def _read(self, part: Array, low: int, high: int) -> None:
        """Read rows of one slab, or several whole slabs."""
        number = low // self.length
        first, end = number * self.length, min((number + 1) * self.length, self._rows)
        key = number, part.dtype
        slab = self._kept.pop(key, None) if high <= end else None
        if slab is None:
            if high - low >= end - first or self.nbytes > LARGEST or part.dtype.hasobject:
                self._fill(part, low, high)
                return
            shape = [*part.shape]
            shape[self._axis] = end - first
            slab = np.empty(shape, part.dtype)
            self._fill(slab, first, end)
        np.copyto(part, slab[self._at(low - first, high - first)])
        if high < end:
            self._keep(key, slab)

    def _keep(self, key: tuple[int, np.dtype[Any]], slab: Array) -> None:
        self._kept[key] = slab
        while len(self._kept) > 1 and sum(each.nbytes for each in self._kept.values()) > KEPT:
            del self._kept[next(iter(self._kept))]  # which was used longest ago

    def _fill(self, part: Array, low: int, high: int) -> None:
        """Unpack the rows low..high: here, where the filters are known, and otherwise by HDF5."""
        if not self._unpacks(part.dtype):
            self._by_hdf5(part, low, high)
            return
        left = []
        chunks, jobs = itertools.tee(self._chunks_of(low, high))
        done = in_order((self._job(part, low, high, offset) for offset in jobs), self.at_a_time)
        for offset, good in zip(chunks, done, strict=True):
            if not good and offset[self._axis] not in left:
                left.append(offset[self._axis])
        for place in left:
            start, stop = max(place, low), min(place + self.length, high)
            self._by_hdf5(part[self._at(start - low, stop - low)], start, stop)

    def _by_hdf5(self, part: Array, low: int, high: int) -> None:
        if part.flags.c_contiguous:
            self._dataset.read_rows(part, low, high)
        else:
            rows = np.empty(part.shape, part.dtype)
            self._dataset.read_rows(rows, low, high)
            np.copyto(part, rows)

    def _chunks_of(self, low: int, high: int) -> Iterator[tuple[int, ...]]:
        """Where the chunks begin that hold the rows low..high."""
        places = [range(0, *each) for each in zip(self._shape, self._chunks, strict=True)]
        places[self._axis] = range(low - low % self.length, high, self.length)
        places.insert(0, places.pop(self._axis))  # slab by slab
        for row, *others in itertools.product(*places):
            yield (*others[: self._axis], row, *others[self._axis :])

    def _job(self, part: Array, low: int, high: int, offset: tuple[int, ...]) -> Callable[[], bool]:
        """Read a chunk as it is stored; what is to be done to write its part of the rows low..high to ``part``.

        That is False where HDF5 has to say what is there, or what is wrong.
        """
        stored = self._dataset.id
        info = stored.get_chunk_info_by_coord(offset)
        if info.byte_offset is None:
            return lambda: False
        to = [slice(place, place + chunk) for place, chunk in zip(offset, self._chunks, strict=True)]
        start, stop = max(low, offset[self._axis]), min(high, offset[self._axis] + self.length)
        to[self._axis] = slice(start - low, stop - low)
        inside = part[tuple(to)]
        of = [slice(length) for length in inside.shape]
        of[self._axis] = slice(start - offset[self._axis], stop - offset[self._axis])
        skipped, content = stored.read_direct_chunk(offset)
        return partial(self._unpack, offset, skipped, content, inside, tuple(of))

    def _unpack(
        self, offset: tuple[int, ...], skipped: int, content: bytes, inside: Array, of: tuple[slice, ...]
    ) -> bool:
        """Write some of a chunk's values, which are within the dataset, to ``inside``; False where that can't be done.

        Raises:
            DataError: the chunk doesn't hold all of its values that are within the dataset.
        """
        dtype = self._dataset.dtype
        direct = inside.shape == self._chunks and inside.flags.c_contiguous and inside.dtype == dtype
        whole = inside.reshape(-1).view(np.uint8) if direct else np.empty(self.chunk_bytes, np.uint8)
        length = self._filters.undo(content, skipped, whole)
        if length is None:
            return False
        self._dataset.check_length(offset, length)
        if not direct:
            whole[length:] = 0  # beyond the dataset's edge
            values = whole.view(dtype).reshape(self._chunks)[of]
            for name in inside.dtype.names or [...]:
                inside[name] = values[name]
        return True

    def _at(self, start: int, stop: int) -> tuple[slice, ...]:
        """These rows of an array."""
        return (*(slice(None) for _ in range(self._axis)), slice(start, stop))


def _alike(dtype: np.dtype[Any], stored: np.dtype[Any]) -> bool:
    """Whether values of a type are stored ones, or some of a table's columns, but perhaps for their byte order."""
    if dtype.names is None or stored.names is None:
        return dtype.newbyteorder("=") == stored.newbyteorder("=")
    return all(name in stored.names and _alike(dtype[name], stored[name]) for name in dtype.names)
