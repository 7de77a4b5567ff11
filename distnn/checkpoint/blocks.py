"""Large arrays into a file: written, brought to the disk, read back from it, compared and hashed.

All of it is done by system calls on long pieces, in which Python's global lock is free, so a training that goes on
beside it isn't held up; HDF5's own writes hold h5py's lock, for which every reader of data would have to wait.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from distnn.arrays import Array
from distnn.checkpoint.content import Hasher
from distnn.data.partition import part

#: Bytes of one system call: long enough to cost nothing, short enough to stay in a core's cache from read to hash.
PIECE = 4 << 20


class Block(NamedTuple):
    """One array of a file, or a part of it: its bytes (flat, uint8), and where they belong.

    The bytes of another process are there in number only, as memory that nobody reads.
    """

    content: Array
    offset: int

    def pieces(self) -> Iterator[tuple[Array, int]]:
        """The bytes in pieces, and where each belongs."""
        for start in range(0, len(self.content), PIECE):
            yield self.content[start : start + PIECE], self.offset + start


class DifferenceError(Exception):
    """What was read back isn't what was written."""


def writers(size: int, ranks: int) -> int:
    """How many of so many ranks are to write ``size`` bytes: each has a piece at least."""
    return max(1, min(ranks, size // PIECE))


def share(blocks: Sequence[Block], ranks: int, rank: int) -> list[Block]:
    """What of the blocks one of several ranks is to write: a contiguous range of the file.

    The ranges begin and end at multiples of `PIECE`, so that no two ranks touch one page or one stripe: network file
    systems keep pages, and Lustre locks stripes, whose owner would change with every write.
    """
    used = [block for block in blocks if len(block.content)]
    first = min(block.offset for block in used) // PIECE
    last = -(-max(block.offset + len(block.content) for block in used) // PIECE)
    start, stop = (PIECE * (first + edge) for edge in part(last - first, ranks, rank))
    found = []
    for content, offset in used:
        low, high = max(start - offset, 0), min(stop - offset, len(content))
        if low < high:
            found.append(Block(content[low:high], offset + low))
    return found


def store(descriptor: int, blocks: Sequence[Block]) -> None:
    """Write the blocks into the open file, and verify that they are on the disk.

    Raises:
        DifferenceError: if what was read back isn't what was written.
        OSError: if the file system refuses (full, …).
    """
    for block in blocks:
        for content, offset in block.pieces():
            _put(descriptor, content, offset)
            # Linux begins to write out what it is to forget: the disk works from now on, not only when waited for.
            _forget(descriptor, offset, len(content))
    os.fdatasync(descriptor)
    _forget(descriptor, 0, 0)  # so that the disk itself is read
    equal = np.empty(PIECE, bool)
    for block in blocks:
        for (content, offset), found in zip(block.pieces(), _stored(descriptor, block), strict=True):
            if not np.equal(found, content, out=equal[: len(content)]).all():
                raise DifferenceError(f"bytes from {offset} to {offset + len(content)} are others")


def checksum(descriptor: int, blocks: Iterable[Block], headings: Iterable[bytes]) -> Hasher:
    """SHA-256 of the headings, and of the bytes in the file after each of them."""
    hasher = hashlib.sha256()
    for heading, block in zip(headings, blocks, strict=True):
        hasher.update(heading)
        for found in _stored(descriptor, block):
            hasher.update(found.data)
    return hasher


def _stored(descriptor: int, block: Block) -> Iterator[Array]:
    """The pieces of a block as the file has them; each is overwritten by the next."""
    buffer = np.empty(min(PIECE, len(block.content)), np.uint8)
    for content, offset in block.pieces():
        found = buffer[: len(content)]
        _get(descriptor, found, offset)
        yield found


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
    """Advise the system to drop its copies of what is on the disk; 0 bytes mean up to the end."""
    with suppress(OSError):  # it is advice
        os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)
