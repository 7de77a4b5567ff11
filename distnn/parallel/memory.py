"""Memory for a model's vectors: of one process, or shared by the ranks of a node."""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from typing import Any

import numpy as np

from distnn.arrays import Array
from distnn.errors import SharedMemoryError
from distnn.parallel.world import World

#: Where files live in memory.
FOLDER = "/dev/shm"


class NodeMemory:
    """Vectors that every rank of one node maps: one copy of the parameters, and a row of gradients for each rank.

    Each is a file in memory that all ranks map and rank 0 unlinks at once: whatever dies later, nothing is left behind
    (an MPI shared window was seen to stay in /dev/shm after a SIGKILL of MPICH's ranks).

    Arguments:
        world: the ranks; those of each of its nodes share their memory.
        folder: on a file system in memory.

    Attributes:
        world: the ranks of this node.
        rows: of every `each`, in order: the rows of all ranks of this node.

    Raises (from `one` and `each`, on every rank of every node alike):
        SharedMemoryError: if the folder is too small, or isn't shared by the ranks.
    """

    def __init__(self, world: World, folder: str = FOLDER) -> None:
        self.everyone, self.world, self.folder = world, world.node(), folder
        self.rows: list[Array] = []

    def one(self, length: int, dtype: np.dtype[Any]) -> Array:
        """``length`` zeros that all ranks share."""
        array: Array = self._map(1, length, dtype)[0]
        return array

    def each(self, length: int, dtype: np.dtype[Any]) -> Array:
        """``length`` zeros of this rank's own, which the others can read."""
        self.rows.append(self._map(self.world.size, length, dtype))
        array: Array = self.rows[-1][self.world.rank]
        return array

    def _map(self, count: int, length: int, dtype: np.dtype[Any]) -> Array:
        page = mmap.PAGESIZE
        stride = max(page, -(-length * dtype.itemsize // page) * page)  # a row begins on a page
        path, problem = self.world.on_root(lambda: self._create(count * stride))
        mapped = None
        try:
            if path:
                with open(path, "r+b") as file:
                    mapped = mmap.mmap(file.fileno(), count * stride)
        except OSError as error:
            problem = f"rank {self.world.rank} can't open it: {error.strerror}"
        everyone = self.everyone.allgather((problem, f"{self.folder} on {self.world.host}"))
        problems = [(found, where) for found, where in everyone if found]
        if path and self.world.root:
            with contextlib.suppress(OSError):
                os.unlink(path)
        if problems or mapped is None:
            found, where = problems[0]
            raise SharedMemoryError(
                f"{count * stride / 1e6:.1f} MB of shared memory in {where} are not to be had ({found}); "
                f'give the job more of it, or set parallel.reduction = "allreduce".'
            )
        flat = np.frombuffer(mapped, dtype)
        return flat.reshape(count, stride // dtype.itemsize)[:, :length]

    def _create(self, size: int) -> tuple[str, str]:
        """A file of ``size`` bytes, really reserved: a sparse one would end the process at the first write too many."""
        path = ""
        try:
            descriptor, path = tempfile.mkstemp(prefix="distnn-", dir=self.folder)
            try:
                os.posix_fallocate(descriptor, 0, size)
            finally:
                os.close(descriptor)
        except OSError as error:
            if path:
                os.unlink(path)
            return "", error.strerror or str(error)
        return path, ""
