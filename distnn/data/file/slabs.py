"""Datasets whose chunks pass filters, read so that each chunk is unpacked once however few of its rows are wanted.

HDF5 unpacks a whole chunk for any of its values, and keeps only small ones. Where a chunk has more rows than are read
at a time (all of them, or some columns of all), it would be unpacked for each reading: the cost would grow with the
square of the size.
"""

from __future__ import annotations

import itertools
import math
import weakref
import zlib
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Protocol

import h5py
import numpy as np

from distnn.arrays import Array

#: A dataset's slabs are kept up to so many bytes together, and the last one alone up to so many.
KEPT, LARGEST = 64 * 1024 * 1024, 512 * 1024 * 1024
#: The deflated bytes to inflate at a time.
PIECE = 32 * 1024
SHUFFLE, DEFLATE = h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE


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
        properties = dataset.id.get_create_plist()
        filters = [properties.get_filter(place)[0] for place in range(properties.get_nfilters())]
        self._shuffled = filters == [SHUFFLE, DEFLATE]
        self._inflates = self._shuffled or filters == [DEFLATE]
        self._kept: dict[tuple[int, np.dtype[Any]], Array] = {}

    @cached_property
    def nbytes(self) -> int:
        """The bytes of a slab in memory."""
        return math.prod(self._shape) // max(1, self._rows) * self.length * int(self._dataset.dtype.itemsize)

    @property
    def chunk_bytes(self) -> int:
        """The bytes of a chunk in memory."""
        return math.prod(self._chunks) * int(self._dataset.dtype.itemsize)

    @cached_property
    def _as_in_memory(self) -> Any:
        """The type of the values, where they are stored as numpy has them, but perhaps for their byte order."""
        dtype = self._dataset.dtype
        same = dtype.kind in "biuf" and self._dataset.id.get_type() == h5py.h5t.py_create(dtype, logical=True)
        return dtype.newbyteorder("=") if same else None

    def read(self, target: Array, start: int, stop: int) -> None:
        """Read the rows start..stop into ``target``."""
        for low, high in self._pieces(start, stop):
            self._read(target[self._at(low - start, high - start)], low, high)

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """The rows, cut where a slab ends; whole ones together where HDF5 unpacks them."""
        whole = -(-start // self.length) * self.length, stop if stop == self._rows else stop - stop % self.length
        edges = range(start - start % self.length + self.length, stop, self.length)
        cuts = [edge for edge in edges if self._inflates or not whole[0] < edge < whole[1]]
        yield from itertools.pairwise([start, *cuts, stop] if start < stop else [])

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
        """Unpack rows: those of a slab ourselves, if they are just deflated, for then they are checked on the way."""
        whole = low % self.length == 0 and high == min(low + self.length, self._rows)
        if self._inflates and whole and part.dtype == self._as_in_memory and self._inflate(part, low):
            return
        if part.flags.c_contiguous:
            self._dataset.read_rows(part, low, high)
        else:
            rows = np.empty(part.shape, part.dtype)
            self._dataset.read_rows(rows, low, high)
            np.copyto(part, rows)

    def _inflate(self, part: Array, low: int) -> bool:
        """Fill the array with a whole slab; False where HDF5 has to say what is there, or what is wrong."""
        places = [range(0, *each) for each in zip(self._shape, self._chunks, strict=True)]
        places[self._axis] = range(low, low + 1)
        for offset in itertools.product(*places):
            where = [slice(place, place + chunk) for place, chunk in zip(offset, self._chunks, strict=True)]
            where[self._axis] = slice(None)
            if not self._unpack(offset, part[tuple(where)]):
                return False
        return True

    def _unpack(self, offset: tuple[int, ...], inside: Array) -> bool:
        """Write the values of a chunk that are within the dataset to ``inside``; False where that can't be done.

        Raises:
            DataError: they aren't all there.
        """
        stored, dtype = self._dataset.id, self._dataset.dtype
        info = stored.get_chunk_info_by_coord(offset)
        if info.byte_offset is None or info.filter_mask:
            return False
        same = inside.shape == self._chunks and inside.flags.c_contiguous and dtype.isnative and not self._shuffled
        content = inside.reshape(-1).view(np.uint8) if same else np.empty(self.chunk_bytes, np.uint8)
        try:
            length, ended = _inflate(stored.read_direct_chunk(offset)[1], content)
        except zlib.error:
            return False
        self._dataset.check_length(offset, length)
        if same or not ended:
            return ended
        content[length:] = 0  # beyond the dataset's edge
        if self._shuffled:  # the first bytes of all values, then the second bytes …
            if length < len(content):
                return False
            content = content.reshape(dtype.itemsize, -1).T.copy().reshape(-1)
        np.copyto(inside, content.view(dtype).reshape(self._chunks)[tuple(slice(each) for each in inside.shape)])
        return True

    def _at(self, start: int, stop: int) -> tuple[slice, ...]:
        """These rows of an array."""
        return (*(slice(None) for _ in range(self._axis)), slice(start, stop))


def _inflate(deflated: bytes, target: Array) -> tuple[int, bool]:
    """Fill the array of bytes, and no more, from deflated ones, in pieces that stay in the cache.

    Returns:
        How many bytes there were, and whether these were all, as their checksum has it.

    Raises:
        zlib.error: for what isn't deflated, or has another checksum.
    """
    inflater, place = zlib.decompressobj(), 0
    for start in range(0, len(deflated), PIECE):
        rest = deflated[start : start + PIECE]
        if place < len(target):
            piece = inflater.decompress(rest, len(target) - place)
            target[place : place + len(piece)] = np.frombuffer(piece, np.uint8)
            place += len(piece)
            rest = inflater.unconsumed_tail
        if place == len(target) and not inflater.eof and inflater.decompress(rest, 1):
            break  # there are more
    return place, inflater.eof
