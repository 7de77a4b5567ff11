"""Large arrays into a file: written, brought to the disk, read back from it, compared and hashed.

All of it is done by system calls on long pieces, in which Python's global lock is free, so a training that goes on
beside it isn't held up; HDF5's own writes hold h5py's lock, for which every reader of data would have to wait.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from distnn.train.checkpoint.content import Array, Hasher

#: Bytes of one system call: long enough to cost nothing, short enough to stay in a core's cache from read to hash.
PIECE = 4 << 20


class Block(NamedTuple):
    """One array of a file: what stands before it in the checksum, its bytes (flat, uint8), and where they belong."""

    heading: bytes
    content: Array
    offset: int

    def pieces(self) -> Iterator[tuple[Array, int]]:
        """The bytes in pieces, and where each belongs."""
        for start in range(0, len(self.content), PIECE):
            yield self.content[start : start + PIECE], self.offset + start


class DifferenceError(Exception):
    """What was read back isn't what was written."""


def store(descriptor: int, blocks: Sequence[Block]) -> Hasher:
    """Write the blocks into the open file, and verify that they are on the disk.

    Returns:
        SHA-256 of the headings and the bytes on the disk, in the order of the blocks.

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
    return _verify(descriptor, blocks)


def _put(descriptor: int, content: Array, offset: int) -> None:
    done = 0
    while done < len(content):
        done += os.pwrite(descriptor, content[done:].data, offset + done)


def _verify(descriptor: int, blocks: Sequence[Block]) -> Hasher:
    hasher = hashlib.sha256()
    buffer, equal = np.empty(PIECE, np.uint8), np.empty(PIECE, bool)
    for block in blocks:
        hasher.update(block.heading)
        for content, offset in block.pieces():
            found = buffer[: len(content)]
            _get(descriptor, found, offset)
            if not np.equal(found, content, out=equal[: len(content)]).all():
                raise DifferenceError(f"bytes from {offset} to {offset + len(content)} are others")
            hasher.update(found.data)
    return hasher


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
