"""The filters that the chunks of a dataset have passed, undone without HDF5, which unpacks one chunk at a time.

What a chunk holds is counted on the way, and its checksums are compared. Where anything isn't as it should be, HDF5 is
left to say so.
"""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any

import h5py
import numpy as np

from distnn.arrays import Array

SHUFFLE, DEFLATE, FLETCHER32 = h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_FLETCHER32
#: The bytes of a chunk's checksum.
CHECKSUM = 4
#: The deflated bytes to inflate at a time: what they become is in memory twice for a moment.
PIECE = 256 * 1024
#: So many words are summed at a time: few enough for the processor's cache, and for sums in float64 to be exact.
WORDS = 1 << 14
#: How often each of these words is in the sum of the sums.
_TIMES = np.arange(WORDS, 0, -1, dtype=np.float64)


class Filters:
    """What the chunks of a dataset have passed, in that order.

    Arguments:
        properties: those that the dataset was created with.

    Attributes:
        numbers: HDF5's numbers of the filters.
        known: whether they compress, and can be undone here.
    """

    def __init__(self, properties: Any) -> None:
        found = [properties.get_filter(place) for place in range(properties.get_nfilters())]
        self.numbers: list[int] = [number for number, *_ in found]
        self._values: list[tuple[int, ...]] = [values for _, _, values, _ in found]
        self.known = DEFLATE in self.numbers and {*self.numbers} <= {SHUFFLE, DEFLATE, FLETCHER32}

    def undo(self, content: bytes, skipped: int, target: Array) -> int | None:
        """Fill an array of bytes with what a chunk holds.

        Arguments:
            content: the chunk as it is stored.
            skipped: has a bit for each filter that it has not passed.
            target: as long as a chunk is.

        Returns:
            How many bytes it holds; None if there are more, or if it is damaged.
        """
        used = [place for place in range(len(self.numbers)) if not skipped >> place & 1][::-1]
        values: Array | None = np.frombuffer(content, np.uint8)
        for place in used:
            assert values is not None
            if self.numbers[place] == FLETCHER32:
                values = _without_checksum(values)
            elif self.numbers[place] == DEFLATE:
                values = _inflated(values, target if place == used[-1] else np.empty(most(len(target)), np.uint8))
            else:
                values = _unshuffled(values, self._values[place], target if place == used[-1] else None)
            if values is None:
                return None
        assert values is not None
        if len(values) > len(target):
            return None
        if not used or self.numbers[used[-1]] == FLETCHER32:
            target[: len(values)] = values
        return len(values)


def most(length: int) -> int:
    """What so many bytes have at most between filters: a checksum is added, and what can't be compressed grows."""
    return length + length // 100 + 1000


@cache
def inflation() -> Any:
    """The library that inflates: isal if it is installed, which takes little more than half of zlib's time."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


def _inflated(deflated: Array, target: Array) -> Array | None:
    """The part of an array of bytes that is filled by inflating; None for what is longer, or isn't deflated."""
    library, place = inflation(), 0
    inflater = library.decompressobj()
    try:
        for start in range(0, len(deflated), PIECE):
            rest = deflated[start : start + PIECE].data
            if place < len(target):
                piece = inflater.decompress(rest, len(target) - place)
                target[place : place + len(piece)] = np.frombuffer(piece, np.uint8)
                place += len(piece)
                rest = inflater.unconsumed_tail
            if place == len(target) and not inflater.eof and inflater.decompress(rest, 1):
                return None
    except library.error:
        return None
    return target[:place] if inflater.eof else None


def _unshuffled(values: Array, parameters: tuple[int, ...], target: Array | None) -> Array | None:
    """Numbers whose bytes were stored apart: the first of all, then the second of all …; what is left over as it is."""
    if len(parameters) != 1 or not parameters[0] or (target is not None and len(values) > len(target)):
        return None
    size = parameters[0]
    count = len(values) // size
    found = np.empty(len(values), np.uint8) if target is None else target[: len(values)]
    apart, together = values[: count * size].reshape(size, count), found[: count * size].reshape(count, size)
    for place in range(size):
        together[:, place] = apart[place]
    found[count * size :] = values[count * size :]
    return found


def _without_checksum(values: Array) -> Array | None:
    """What precedes the checksum; None if that is another."""
    content, checksum = values[:-CHECKSUM], values[-CHECKSUM:]
    return content if len(checksum) == CHECKSUM and fletcher32(content) == int(checksum.view("<u4")[0]) else None


def fletcher32(content: Array) -> int:
    """HDF5's checksum of bytes: the sum of their 16-bit words w_k, and that of all sums on the way to it.

    ``s = sum_k w_k``, ``t = sum_k (n − k) w_k`` for k = 0 … n − 1, both modulo 2¹⁶ − 1, and 2¹⁶ − 1 instead of 0 unless
    all words are 0; the checksum is 2¹⁶ t + s. A last odd byte is the upper one of a word. (Fletcher, An arithmetic
    checksum for serial transmissions, 1982.)
    """
    words = np.append(content, np.uint8(0)).view(">u2") if len(content) % 2 else content.view(">u2")
    first = second = 0
    for start in range(0, len(words), WORDS):
        part = words[start : start + WORDS].astype(np.float64)
        second += len(part) * first
        first += int(part.sum())
        second += int(np.multiply(part, _TIMES[-len(part) :], out=part).sum())
    low, high = ((each - 1) % 0xFFFF + 1 if each else 0 for each in (first, second))
    return high << 16 | low
