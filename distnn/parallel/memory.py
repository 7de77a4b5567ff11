"""Memory for a model's vectors: of one process, or shared by the ranks of a node."""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any

import numpy as np

from distnn.arrays import Array
from distnn.errors import SharedMemoryError
from distnn.parallel.available import available
from distnn.parallel.communicator import Communicator

#: Where files live in memory.
FOLDER = "/dev/shm"
#: Bytes of a mark, which tells a file from any other.
MARK = 16


class NodeMemory:
    """Vectors that every rank of one node maps: one copy of the parameters, and a row of gradients for each rank.

    Each is a file in memory that rank 0 makes. It has no name (memfd_create(2)), and the other ranks open it through
    /proc: whatever dies, and when, nothing is left behind. (An MPI shared window was seen to stay in /dev/shm after a
    SIGKILL of MPICH's ranks.) Where they can't, since each is in a container of its own, say, or there is no /proc, the
    file is in a folder, and rank 0 unlinks it as soon as all have opened it.

    Arguments:
        comm: the ranks; those of each of its nodes share their memory.
        folder: where files with a name are, on a file system in memory; None for `FOLDER`, and only if need be.

    Attributes:
        node: the ranks of this node.
        rows: of every `each`, in order: the rows of all ranks of this node.
        place: the folder of the last vectors; empty for memory without a name.

    Raises (from `one` and `each`, on every rank of every node alike):
        SharedMemoryError: if there is too little memory, or the ranks can't share it.
    """

    def __init__(self, comm: Communicator, folder: str | None = None) -> None:
        self.everyone, self.node = comm, comm.node()
        self.rows: list[Array] = []
        self.place = ""
        named = folder or FOLDER
        self._ways: dict[str, Callable[[int], AbstractContextManager[tuple[str, bytes]]]] = {
            "": _without_name,
            named: partial(_in_folder, named),
        }
        if folder:
            del self._ways[""]

    def one(self, length: int, dtype: np.dtype[Any]) -> Array:
        """``length`` zeros that all ranks share."""
        array: Array = self._map(1, length, dtype)[0]
        return array

    def each(self, length: int, dtype: np.dtype[Any]) -> Array:
        """``length`` zeros of this rank's own, which the others can read."""
        self.rows.append(self._map(self.node.size, length, dtype))
        array: Array = self.rows[-1][self.node.rank]
        return array

    def _map(self, count: int, length: int, dtype: np.dtype[Any]) -> Array:
        page = mmap.PAGESIZE
        stride = max(page, -(-length * dtype.itemsize // page) * page)  # a row begins on a page
        mapped, problem = self._shared(count * stride)
        where = f"{self.place and f'in {self.place} '}on {self.node.host}"
        problems = list(filter(None, self.everyone.allgather(problem and (problem, where))))
        if problems or mapped is None:
            problem, where = problems[0]
            raise SharedMemoryError(
                f"{count * stride / 1e6:.1f} MB of shared memory {where} can't be allocated ({problem}); "
                f'give the job more of it, or set parallel.reduction = "allreduce".'
            )
        flat = np.frombuffer(mapped, dtype)
        return flat.reshape(count, stride // dtype.itemsize)[:, :length]

    def _shared(self, size: int) -> tuple[mmap.mmap | None, str]:
        """``size`` bytes that the ranks of this node share, in the first way in which they can; or why they can't."""
        problem = ""
        for place, way in self._ways.items():
            self.place = place
            try:
                return self._mapped(way, size), ""
            except MemoryError as error:  # there is none in another place either
                return None, str(error)
            except OSError as error:
                problem = error.strerror or str(error)
        return None, problem

    def _mapped(self, way: Callable[[int], AbstractContextManager[tuple[str, bytes]]], size: int) -> mmap.mmap:
        """Map a file that rank 0 makes; what goes wrong on one rank of the node, all of them raise."""
        with ExitStack() as stack:
            path, mark = self.node.on_root(lambda: stack.enter_context(way(size)))
            mapped, problem = None, ""
            try:
                mapped = _opened(path, mark, size)
            except OSError as error:
                problem = f"rank {self.node.rank} can't open it: {error.strerror or error}"
            problems = list(filter(None, self.node.allgather(problem)))
        if problems or mapped is None:
            raise OSError(problems[0])
        return mapped


@contextlib.contextmanager
def _without_name(size: int) -> Iterator[tuple[str, bytes]]:
    """Memory without a name: the path by which other processes open it meanwhile, and its mark.

    Raises:
        MemoryError: if there isn't as much; no file system limits it, and the kernel would end a process to make room.
        OSError: if the system has no such memory, or doesn't say how much is left.
    """
    if (free := available()) is None:
        raise OSError("the system doesn't say how much memory is free")
    if free < size:
        raise MemoryError(f"{free / 1e6:.1f} MB are free")
    descriptor = os.memfd_create("distnn")
    try:
        yield f"/proc/{os.getpid()}/fd/{descriptor}", _reserve(descriptor, size)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _in_folder(folder: str, size: int) -> Iterator[tuple[str, bytes]]:
    """A file in memory, by its name in a folder, which it has meanwhile, and its mark.

    Raises:
        OSError: if there isn't as much.
    """
    descriptor, path = tempfile.mkstemp(prefix=f"distnn-{os.getpid()}-", dir=folder)
    try:
        try:
            mark = _reserve(descriptor, size)
        finally:
            os.close(descriptor)
        yield path, mark
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _reserve(descriptor: int, size: int) -> bytes:
    """Make a file of ``size`` zeros and a mark, really reserved: a sparse one would end the process at the first write
    too many."""
    mark = secrets.token_bytes(MARK)
    os.posix_fallocate(descriptor, 0, size + MARK)
    os.pwrite(descriptor, mark, size)
    return mark


def _opened(path: str, mark: bytes, size: int) -> mmap.mmap:
    """Map the file at ``path``, which has this mark: a number of a process may mean another one in another container.

    Raises:
        OSError: if it can't be opened, or is another one.
    """
    with open(path, "r+b", buffering=0) as file:
        if os.pread(file.fileno(), MARK, size) != mark:
            raise OSError("it is another file")
        return mmap.mmap(file.fileno(), size)
