"""The ranks of one communicator: who they are, where they run, and what they say to each other."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

from distnn.arrays import Array
from distnn.errors import DistnnError, described
from distnn.parallel import launch

T = TypeVar("T")


class Communicator:
    """The ranks of one mpi4py communicator, or a single rank where there is none. It never changes.

    Several may exist side by side. Each rank has to make it.

    Arguments:
        mpi: the mpi4py communicator; None for a single rank.
        node: of those of its ranks that share this one's memory; asked of MPI if None.
        hosts: every rank's host name; asked of the ranks if None.

    Attributes:
        mpi: the mpi4py communicator; None for a single rank without MPI.
        rank, size: this rank's number and the number of ranks.
        host: this rank's host name.
        hosts: every rank's host name.
    """

    def __init__(self, mpi: Any = None, node: Any = None, hosts: list[str] | None = None) -> None:
        self.mpi, self._node_mpi = mpi, node
        self.rank: int = mpi.rank if mpi is not None else 0
        self.size: int = mpi.size if mpi is not None else 1
        self.host = socket.gethostname()
        self.hosts: list[str] = hosts or self.allgather(self.host)

    @property
    def library(self) -> str:
        """The MPI library's name and version."""
        if self.mpi is None:
            return "none"
        from mpi4py import MPI

        return launch.library_name(MPI.Get_library_version())

    @property
    def root(self) -> bool:
        """Whether this is rank 0, which alone prints and writes."""
        return self.rank == 0

    @cached_property
    def aside(self) -> Any:
        """A communicator of the same ranks for what goes on beside the work; they all have to ask for it together."""
        return self.mpi.Dup()

    def node(self) -> Communicator:
        """The ranks that share this one's memory; every rank has to call it."""
        return self._node

    @cached_property
    def _node(self) -> Communicator:
        if self.size == 1 or self._node_mpi is self.mpi:
            return self
        from mpi4py import MPI

        mpi = self._node_mpi or self.mpi.Split_type(MPI.COMM_TYPE_SHARED)
        return Communicator(mpi, mpi)

    @cached_property
    def nodes(self) -> list[list[int]]:
        """The ranks of each node, in the order of their first ranks; they all have to ask for it together."""
        members: dict[int, list[int]] = {}
        for rank, first in enumerate(self.allgather(self.node().bcast(self.rank))):
            members.setdefault(first, []).append(rank)
        return list(members.values())

    def among(self, ranks: Sequence[int], tag: int) -> Communicator:
        """These ranks, this one among them; each of them has to ask for it, with the same tag."""
        mpi = self.mpi.Create_group(self.mpi.group.Incl(list(ranks)), tag)
        return Communicator(mpi, hosts=[self.hosts[rank] for rank in ranks])

    def allreduce(self, array: Array) -> None:
        """Sum ``array`` over the ranks, in place."""
        if self.size > 1:
            from mpi4py import MPI

            self.mpi.Allreduce(MPI.IN_PLACE, array)

    def maximum(self, array: Array) -> None:
        """Take the largest of every element over the ranks, in place."""
        if self.size > 1:
            from mpi4py import MPI

            self.mpi.Allreduce(MPI.IN_PLACE, array, MPI.MAX)

    def allgather(self, value: Any) -> list[Any]:
        """Every rank's ``value``, in the order of the ranks."""
        return self.mpi.allgather(value) if self.size > 1 else [value]

    def gather(self, value: Any) -> list[Any] | None:
        """Every rank's ``value`` on rank 0, None elsewhere."""
        return self.mpi.gather(value) if self.size > 1 else [value]

    def bcast(self, value: Any, root: int = 0) -> Any:
        """The ``value`` of rank ``root``."""
        return self.mpi.bcast(value, root) if self.size > 1 else value

    def on_root(self, function: Callable[[], T]) -> T:
        """Rank 0's ``function()`` on every rank; what it raises there, every rank raises.

        Raises:
            Exception: whatever rank 0's call raised.
        """
        outcome: Any = None
        if self.root:
            try:
                outcome = (True, function())
            except Exception as error:
                if self.size == 1:
                    raise
                outcome = (False, _sendable(error))
        succeeded, value = self.bcast(outcome)
        if not succeeded:
            raise value
        return value  # type: ignore[no-any-return]

    def share(self, array: Array, root: int = 0) -> None:
        """Overwrite ``array`` with that of rank ``root``."""
        if self.size > 1:
            self.mpi.Bcast(array, root)

    def barrier(self) -> None:
        """Wait until every rank is here."""
        if self.size > 1:
            self.mpi.Barrier()

    def revoke(self) -> None:
        """End whatever ranks wait for, here and on the node, with an error (where MPI is fault tolerant)."""
        node = self.__dict__.get("_node", self)
        for mpi in (self.mpi, node.mpi):
            if not mpi.Is_revoked():
                mpi.Revoke()


def _sendable(error: Exception) -> Exception:
    """An exception that the other ranks can be sent: itself, or what it says where pickle can't carry it."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return DistnnError(described(error))
    return error
