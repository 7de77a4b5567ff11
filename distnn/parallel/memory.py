"""Memory for a model's vectors: of one process, or shared by the ranks of a node."""

from __future__ import annotations

import mmap
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from distnn.arrays import Array
from distnn.errors import SharedMemoryError
from distnn.parallel.available import available
from distnn.parallel.communicator import Communicator

#: Where the memory can be, the first choice first: nowhere, without a name, or in a folder of a file system in memory.
PLACES = ("", "/dev/shm")


class NodeMemory:
    """Vectors that every rank of one node maps: one copy of the parameters, and a row of gradients for each rank.

    Each is a file in memory that rank 0 makes. It has no name (memfd_create(2)), and the other ranks open it through
    /proc: whatever dies, and when, nothing is left behind. (An MPI shared window was seen to stay in /dev/shm after a
    SIGKILL of MPICH's ranks.) Where they can't, since each is in a container of its own, say, or there is no /proc, the
    file is in a folder, and rank 0 unlinks it as soon as all have opened it.

    Arguments:
        comm: the ranks; those of each of its nodes share their memory.

    Attributes:
        node: the ranks of this node.
        rows: of every `each`, in order: the rows of all ranks of this node.
        place: of the last vectors, in `PLACES`.

    Raises (from `one` and `each`, on every rank of every node alike):
        SharedMemoryError: if there is too little memory, or the ranks can't share it.
    """

    def __init__(self, comm: Communicator) -> None:
        self.everyone, self.node = comm, comm.node()
        self.rows: list[Array] = []
        self.place = ""

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
        problems = list(filter(None, self.everyone.allgather(problem)))
        if problems or mapped is None:
            raise SharedMemoryError(
                f"{count * stride / 1e6:.1f} MB of shared memory {problems[0]}; "
                f'give the job more of it, or set parallel.reduction = "allreduce".'
            )
        flat = np.frombuffer(mapped, dtype)
        return flat.reshape(count, stride // dtype.itemsize)[:, :length]

    def _shared(self, size: int) -> tuple[mmap.mmap | None, str]:
        """``size`` bytes that the ranks of this node share, or what their problem is."""
        problem = ""
        for self.place in PLACES:
            try:
                return self._mapped(size), ""
            except MemoryError as error:  # there is none in another place either
                problem = str(error)
                break
            except OSError as error:
                problem = error.strerror or str(error)
        return None, f"{self.place and f'in {self.place} '}on {self.node.host} can't be allocated ({problem})"

    def _mapped(self, size: int) -> mmap.mmap:
        """Map a file that rank 0 makes; what goes wrong on one rank of the node, all of them raise."""
        with ExitStack() as stack:
            path, identity = self.node.on_root(lambda: _made(self.place, size, stack))
            mapped, problem = None, ""
            try:
                mapped = _opened(path, identity, size)
            except OSError as error:
                problem = f"rank {self.node.rank} can't open it: {error.strerror or error}"
            problems = list(filter(None, self.node.allgather(problem)))
        if problems or mapped is None:
            raise OSError(problems[0])
        return mapped


def _made(place: str, size: int, stack: ExitStack) -> tuple[str, tuple[int, int]]:
    """A file of ``size`` zeros: the path by which other processes open it until the stack unwinds, and its identity.

    Raises:
        MemoryError: if there isn't as much; no file system limits it, and the kernel would end a process to make room.
        OSError: if the place has no such memory or not as much, or the system doesn't say how much is left.
    """
    if place:
        descriptor, path = tempfile.mkstemp(prefix=f"distnn-{os.getpid()}-", dir=place)
        stack.callback(Path(path).unlink, missing_ok=True)
    else:
        if (free := available()) is None:
            raise OSError("the system doesn't say how much memory is free")
        if free < size:
            raise MemoryError(f"{free / 1e6:.1f} MB are free")
        descriptor = os.memfd_create("distnn")
        path = f"/proc/{os.getpid()}/fd/{descriptor}"
    stack.callback(os.close, descriptor)
    os.posix_fallocate(descriptor, 0, size)  # a sparse file would end the process at the first write too many
    return path, _identity(descriptor)


def _identity(descriptor: int) -> tuple[int, int]:
    """What tells an open file from every other on this machine."""
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _opened(path: str, identity: tuple[int, int], size: int) -> mmap.mmap:
    """Map the file at ``path``, if it is this one: a process's number may mean another process in another container.

    Raises:
        OSError: if it can't be opened, or is another one.
    """
    with open(path, "r+b", buffering=0) as file:
        if _identity(file.fileno()) != identity:
            raise OSError("it is another file")
        return mmap.mmap(file.fileno(), size)
