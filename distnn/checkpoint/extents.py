"""Large arrays in a file: writing them, syncing, reading them back to compare, and hashing.

All of it is done by system calls on long pieces. These release Python's global lock, so that the training continues
meanwhile; HDF5's own writes hold h5py's lock, for which every reader of data would have to wait.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from distnn.arrays import Array
from distnn.data.partition import part

#: Bytes of one system call: enough to make its cost small, and few enough to stay in a core's cache from read to hash.
PIECE = 4 << 20


class Extent(NamedTuple):
    """One array of a file, or a part of it: its bytes (flat, uint8), and their offset in the file.

    For an array of another process, only the number of bytes counts: the content is memory that is never read.
    """

    content: Array
    offset: int

    def pieces(self) -> Iterator[tuple[Array, int]]:
        """The bytes in pieces, each with its offset in the file."""
        for start in range(0, len(self.content), PIECE):
            yield self.content[start : start + PIECE], self.offset + start


class DifferenceError(Exception):
    """What was read back differs from what was written."""


def writers(size: int, ranks: int) -> int:
    """How many of ``ranks`` ranks write ``size`` bytes: so many that each has at least one piece."""
    return max(1, min(ranks, size // PIECE))


def share(extents: Sequence[Extent], ranks: int, rank: int) -> list[Extent]:
    """The part of the extents that rank ``rank`` writes: a contiguous range of the file.

    The ranges begin and end at multiples of `PIECE`, so that no two ranks write to one page or one stripe: network file
    systems cache pages, and Lustre locks stripes, whose owner would change with every write.
    """
    used = [extent for extent in extents if len(extent.content)]
    first = min(extent.offset for extent in used) // PIECE
    last = -(-max(extent.offset + len(extent.content) for extent in used) // PIECE)
    start, stop = (PIECE * (first + edge) for edge in part(last - first, ranks, rank))
    mine = []
    for content, offset in used:
        low, high = max(start - offset, 0), min(stop - offset, len(content))
        if low < high:
            mine.append(Extent(content[low:high], offset + low))
    return mine


def store(path: Path, extents: Collection[Extent]) -> None:
    """Write the extents into the file, and verify that they are on the disk.

    Raises:
        DifferenceError: if what was read back differs from what was written.
        OSError: if the file system refuses (full, …).
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        for extent in extents:
            for content, offset in extent.pieces():
                _put(descriptor, content, offset)
                # Linux begins to write out what it is advised to drop, so the disk starts now and not only at the sync.
                _forget(descriptor, offset, len(content))
        os.fdatasync(descriptor)
        _forget(descriptor, 0, 0)  # so that the disk itself is read
        equal = np.empty(PIECE, bool)
        for extent in extents:
            for (content, offset), stored in zip(extent.pieces(), _stored(descriptor, extent), strict=True):
                if not np.equal(stored, content, out=equal[: len(content)]).all():
                    raise DifferenceError(f"bytes from {offset} to {offset + len(content)} differ")
    finally:
        os.close(descriptor)


def checksum(descriptor: int, extents: Iterable[Extent], headings: Iterable[bytes], documents: Iterable[bytes]) -> str:
    """SHA-256 of the headings, each followed by the bytes of its extent in the file, and then of the documents."""
    hasher = hashlib.sha256()
    for heading, extent in zip(headings, extents, strict=True):
        hasher.update(heading)
        for piece in _stored(descriptor, extent):
            hasher.update(piece.data)
    for document in documents:
        hasher.update(document)
    return hasher.hexdigest()


def _stored(descriptor: int, extent: Extent) -> Iterator[Array]:
    """The pieces of an extent as the file has them; each is overwritten by the next."""
    buffer = np.empty(min(PIECE, len(extent.content)), np.uint8)
    for content, offset in extent.pieces():
        piece = buffer[: len(content)]
        _get(descriptor, piece, offset)
        yield piece


def _put(descriptor: int, content: Array, offset: int) -> None:
    done = 0
    while done < len(content):
        done += os.pwrite(descriptor, content[done:].data, offset + done)


def _get(descriptor: int, buffer: Array, offset: int) -> None:
    done = 0
    while done < len(buffer):
        count = os.preadv(descriptor, [buffer[done:].data], offset + done)
        if count == 0:
            raise DifferenceError(f"it ends at {offset + done}")
        done += count


def _forget(descriptor: int, offset: int, length: int) -> None:
    """Advise the system to drop cached pages that are on the disk; a length of 0 means up to the end."""
    with suppress(OSError):  # only advice
        os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)
