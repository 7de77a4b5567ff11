"""The world a run lives in: its ranks and hosts, what they say to each other, and how they fail together."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NoReturn, TypeVar

import distnn
from distnn import runtime
from distnn.arrays import Array
from distnn.parallel import launch, rendezvous, survival

T = TypeVar("T")


def add_up(comm: Any, array: Array) -> None:
    """Sum ``array`` over the ranks of an mpi4py communicator, in place."""
    from mpi4py import MPI

    comm.Allreduce(MPI.IN_PLACE, array)


class World:
    """The ranks of one communicator, or a single rank where there is no MPI library.

    Make it with `World.open`; several may exist side by side, over different communicators.

    Arguments:
        comm: the mpi4py communicator; None without MPI.
        node: of those of its ranks that share this one's memory; asked of MPI if None.

    Attributes:
        comm: the mpi4py communicator; None without MPI.
        rank, size: this rank's number and the number of ranks.
        host: this rank's host name.
        hosts: every rank's host name.
        launched: the number that each rank was launched with, which is its rank until others die.
        threads: the BLAS threads of this rank, and why that many; final after `settle_threads`.
        lost: the ranks that have died so far, by these numbers, with their hosts.
        elastic: whether the others go on where a rank dies.
        beats: how often this rank's work has come on, and ``doing``: what it is at, for `distnn.supervision.watchdog`.
        patience: how many seconds may pass without a beat; 0 for any number.
        before_leaving: what a rank that fails does before it leaves, or ends the job: a few seconds' work at most.
    """

    def __init__(self, comm: Any = None, node: Any = None) -> None:
        self._node_comm = node
        self._enter(comm)
        self.host = socket.gethostname()
        self.hosts: list[str] = self.allgather(self.host)
        self.launched, self.lost = list(range(self.size)), list[str]()
        self.elastic = False
        self.threads: runtime.Threads = distnn.THREADS
        self.before_leaving: list[Callable[[], None]] = []
        self.beats, self.doing = 0, "the beginning"
        self.patience = 0.0
        self._separate()

    def _enter(self, comm: Any) -> None:
        """Take part in a communicator."""
        self.comm = comm
        self.rank: int = comm.rank if comm is not None else 0
        self.size: int = comm.size if comm is not None else 1

    def _separate(self) -> None:
        """Failures meet on a communicator of their own: they must not pair with a collective of the work."""
        self._failures = self.comm.Dup() if self.comm is not None and self.size > 1 else None

    @classmethod
    def open(cls, comm: Any = None) -> World:
        """The world of ``comm``, or of all ranks that were launched together.

        Without an MPI library it is a single rank, with one line of warning.

        Raises:
            LaunchError: if a launcher promised several ranks and each sees only itself, or couldn't but end.
        """
        return cls(comm if comm is not None else launch.communicator())

    def beat(self, doing: str = "") -> None:
        """This rank's work has come on, to ``doing`` if that is new."""
        self.beats += 1
        self.doing = doing or self.doing

    def settle_threads(self) -> None:
        """Correct the thread count by what only the ranks together know: how many of them share these cores."""
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        everyone = self.allgather((self.host, cores))
        if not cores or not self.threads.derived:
            return
        sharing = sum(1 for host, other in everyone if host == self.host and set(other) & set(cores))
        exact = max(1, len(cores) // sharing)
        if exact != self.threads.count:
            runtime.set_threads(exact)
        ranks = f"{sharing} ranks" if sharing > 1 else "1 rank"
        self.threads = runtime.Threads(exact, f"{len(cores)} cores for {ranks}", derived=True)

    def use_threads(self, count: int, reason: str) -> None:
        """Give this rank's BLAS ``count`` threads, for a reason that the run tells."""
        runtime.set_threads(count)
        self.threads = runtime.Threads(count, reason)

    @property
    def library(self) -> str:
        """The MPI library's name and version."""
        if self.comm is None:
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
        return self.comm.Dup()

    def node(self) -> World:
        """The ranks that share this one's memory, as a world of their own; every rank has to call it."""
        return self._node

    @cached_property
    def _node(self) -> World:
        if self.size == 1 or self._node_comm is self.comm:
            return self
        from mpi4py import MPI

        comm = self._node_comm or self.comm.Split_type(MPI.COMM_TYPE_SHARED)
        return World(comm, comm)

    @cached_property
    def nodes(self) -> list[list[int]]:
        """The ranks of each node, in the order of their first ranks; they all have to ask for it together."""
        found: dict[int, list[int]] = {}
        for rank, first in enumerate(self.allgather(self.node().bcast(self.rank))):
            found.setdefault(first, []).append(rank)
        return list(found.values())

    def among(self, ranks: Sequence[int], tag: int) -> Any:
        """A communicator of these ranks, this one among them; each of them has to ask for it, with the same tag."""
        return self.comm.Create_group(self.comm.group.Incl(list(ranks)), tag)

    def allreduce(self, array: Array) -> None:
        """Sum ``array`` over the ranks, in place."""
        if self.size > 1:
            add_up(self.comm, array)

    def begin_allreduce(self, array: Array) -> Any:
        """Begin to sum ``array`` over the ranks, in place: the request for `test_all` and `wait_all`."""
        from mpi4py import MPI

        return self.comm.Iallreduce(MPI.IN_PLACE, array)

    @staticmethod
    def test_all(requests: list[Any]) -> None:
        """Let MPI work on what these requests stand for."""
        from mpi4py import MPI

        MPI.Request.Testall(requests)

    @staticmethod
    def wait_all(requests: list[Any]) -> None:
        """Wait until all of this is done."""
        from mpi4py import MPI

        MPI.Request.Waitall(requests)

    def maximum(self, array: Array) -> None:
        """Take the largest of every element over the ranks, in place."""
        if self.size > 1:
            from mpi4py import MPI

            self.comm.Allreduce(MPI.IN_PLACE, array, MPI.MAX)

    def allgather(self, value: Any) -> list[Any]:
        """Every rank's ``value``, in the order of the ranks."""
        return self.comm.allgather(value) if self.size > 1 else [value]

    def gather(self, value: Any) -> list[Any] | None:
        """Every rank's ``value`` on rank 0, None elsewhere."""
        return self.comm.gather(value) if self.size > 1 else [value]

    def bcast(self, value: Any, root: int = 0) -> Any:
        """The ``value`` of rank ``root``."""
        return self.comm.bcast(value, root) if self.size > 1 else value

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
                outcome = (False, error)
        succeeded, value = self.bcast(outcome)
        if not succeeded:
            raise value
        return value  # type: ignore[no-any-return]

    def share(self, array: Array, root: int = 0) -> None:
        """Overwrite ``array`` with that of rank ``root``."""
        if self.size > 1:
            self.comm.Bcast(array, root)

    def barrier(self) -> None:
        """Wait until every rank is here."""
        if self.size > 1:
            self.comm.Barrier()

    def make_elastic(self) -> None:
        """Let the other ranks go on where one dies.

        Raises:
            LaunchError: if they can't, with the reason.
        """
        if self.size > 1:
            survival.require(self.library)
            self.elastic = True

    def agree(self, good: bool) -> bool:
        """Whether all ranks live, and all say that it is ``good``: the same on all of them.

        A rank that says it isn't ends whatever the others wait for, and so brings them here.
        """
        if self.size == 1:
            return good
        if not good:
            for comm in (self.comm, self.__dict__["_node"].comm if "_node" in self.__dict__ else None):
                if comm is not None and not comm.Is_revoked():
                    comm.Revoke()
        return survival.agree(self.comm, good)

    def confirm(self) -> None:
        """In an elastic world, make sure that what the ranks have just received can be relied on: that all live.

        Raises:
            LossError: on every rank, if not all do.
        """
        if self.elastic and not self.agree(True):
            raise survival.LossError("a rank has died.")

    def disturbed(self, error: Exception) -> bool:
        """Whether a rank's death may be behind an error."""
        return survival.is_loss(error) or (self.size > 1 and survival.disturbed(self.comm))

    def leave_out_the_dead(self) -> None:
        """Become the world of the ranks that live, which all call it after they have agreed that not all do."""
        comm, kept = survival.shrink(self.comm)
        self.lost += [f"rank {self.launched[k]} (host {self.hosts[k]})" for k in range(self.size) if k not in kept]
        self.hosts = [self.hosts[k] for k in kept]
        self.launched = [self.launched[k] for k in kept]
        for name in ("_node", "nodes", "aside"):
            self.__dict__.pop(name, None)
        self._enter(comm)
        self._node_comm = None
        self.before_leaving.clear()
        self._separate()

    def abort(self, code: int) -> None:
        """End the job on every rank at once, with this exit code; in an elastic world this rank alone."""
        if self.size > 1:
            if survival.possible(self.library):
                survival.end(self.comm, code)
            self.comm.Abort(code)
        os._exit(code)

    def exit(self, code: int) -> NoReturn:
        """End this process in order."""
        if self.lost:
            survival.leave(code)
        sys.exit(code)

    def meet_in_failure(self, message: str) -> bool | None:
        """After a failure: whether this rank is to report it, or None if the other ranks go on as if nothing was."""
        return True if self._failures is None else rendezvous.meet(self._failures, message)

    def leave_together(self) -> None:
        """Wait until every rank that met in failure is here too."""
        if self._failures is not None:
            self._failures.Barrier()
