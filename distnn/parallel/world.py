"""The world a run lives in: its ranks and hosts, what they say to each other, and how they fail together."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

import distnn
from distnn import runtime
from distnn.errors import LaunchError
from distnn.ops.op import Array

T = TypeVar("T")

#: How long a failed rank waits for the others to fail too, before it ends the whole job. Seconds.
RENDEZVOUS = 1.0


def library_name(version: str) -> str:
    """The name and number in MPI_Get_library_version's text: "MPICH 5.0.2", "Open MPI v5.0.11"."""
    return re.sub(r"\s*Version:\s*", " ", version.strip().splitlines()[0].split(", package")[0])


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
        threads: the BLAS threads of this rank, and why that many; final after `settle_threads`.
        beats: how often this rank's work has come on, and ``doing``: what it is at, for `distnn.train.watchdog`.
        patience: how many seconds may pass without a beat; 0 for any number.
        before_leaving: what a rank that fails does before it leaves, or ends the job: a few seconds' work at most.
    """

    def __init__(self, comm: Any = None, node: Any = None) -> None:
        self.comm, self._node_comm = comm, node
        self.rank: int = comm.rank if comm is not None else 0
        self.size: int = comm.size if comm is not None else 1
        self.host = socket.gethostname()
        self.hosts: list[str] = self.allgather(self.host)
        self.threads: runtime.Threads = distnn.THREADS
        self.before_leaving: list[Callable[[], None]] = []
        self.beats, self.doing = 0, "the beginning"
        self.patience = 0.0
        # Failures meet on a communicator of their own: they must not pair with a collective of the work.
        self._failures = comm.Dup() if comm is not None and self.size > 1 else None

    @classmethod
    def open(cls, comm: Any = None) -> World:
        """The world of ``comm``, or of all ranks that were launched together.

        Without an MPI library it is a single rank, with one line of warning.

        Raises:
            LaunchError: if a launcher promised several ranks and each sees only itself, or couldn't but end.
        """
        if comm is not None:
            return cls(comm)
        try:
            import mpi4py

            # The import shall not start MPI: an MPICH that can't speak with the launcher ends the process there.
            mpi4py.rc.initialize, mpi4py.rc.finalize = False, True
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:
            cls._refuse_lonely(f"no MPI library could be loaded ({str(error).splitlines()[0]})")
            print(
                "distnn: warning: no MPI library found, so this is a single rank; for more: pip install 'distnn[mpi]'",
                file=sys.stderr,
                flush=True,
            )
            return cls()
        if not MPI.Is_initialized():
            cls._refuse_foreign(MPI.Get_library_version())
            MPI.Init_thread()
        if MPI.COMM_WORLD.size == 1:
            cls._refuse_lonely(f"the MPI library in use is {library_name(MPI.Get_library_version())}")
        return cls(MPI.COMM_WORLD)

    @staticmethod
    def _refuse_lonely(cause: str) -> None:
        """Refuse a launch of several ranks that don't see each other: each would train the whole run by itself."""
        promise = runtime.promised()
        if promise is None or promise.ranks == 1:
            return
        raise LaunchError(
            f"{promise.launcher} promised {promise.ranks} ranks ({promise.variable}={promise.ranks}), but this process "
            f"sees only itself, on host {socket.gethostname()}: {cause}. The launcher and the MPI library must belong "
            f"together: use the mpiexec of that library; under Slurm start with srun and the plugin it speaks "
            f"(--mpi=pmi2 for MPICH, --mpi=pmix for Open MPI, --mpi=cray_shasta on a Cray); for a single rank on "
            f"purpose, say so: srun -n 1 or mpiexec -n 1."
        )

    @classmethod
    def _refuse_foreign(cls, library: str) -> None:
        """Refuse MPICH without PMIx under Open MPI's mpiexec, before MPI_Init ends the process without a reason."""
        promise = runtime.promised()
        if promise and promise.variable.startswith("OMPI_") and library.startswith("MPICH") and "pmix" not in library:
            cls._refuse_lonely(f"the MPI library in use is {library_name(library)}")

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

        return library_name(MPI.Get_library_version())

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

    def bcast(self, value: Any) -> Any:
        """Rank 0's ``value``."""
        return self.comm.bcast(value) if self.size > 1 else value

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

    def share(self, array: Array) -> None:
        """Overwrite ``array`` with rank 0's."""
        if self.size > 1:
            self.comm.Bcast(array)

    def barrier(self) -> None:
        """Wait until every rank is here."""
        if self.size > 1:
            self.comm.Barrier()

    def abort(self, code: int) -> None:
        """End the job on every rank at once, with this exit code."""
        if self.size > 1:
            self.comm.Abort(code)
        os._exit(code)

    def meet_in_failure(self, message: str) -> bool | None:
        """After a failure: whether this rank is to report it, or None if the other ranks go on as if nothing was.

        All ranks that fail alike (a bad run file, say) meet here within a second and end in order, the first of them
        reporting for those with the same message. A rank that fails alone has to end the others.
        """
        if self._failures is None:
            return True
        mine = np.frombuffer(hashlib.blake2b(message.encode(), digest_size=8).digest(), np.uint64)
        everyone = np.zeros(self.size, np.uint64)
        request = self._failures.Iallgather(mine, everyone)
        deadline = time.monotonic() + RENDEZVOUS
        while not request.Test():
            if time.monotonic() > deadline:
                return None
            time.sleep(0.01)
        return int(np.flatnonzero(everyone == mine[0])[0]) == self.rank

    def leave_together(self) -> None:
        """Wait until every rank that met in failure is here too."""
        if self._failures is not None:
            self._failures.Barrier()
