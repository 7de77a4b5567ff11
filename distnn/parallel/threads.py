"""The threads that the process's BLAS has, and why that many."""

from __future__ import annotations

import os

from distnn import runtime
from distnn.parallel.communicator import Communicator


class BlasThreads:
    """The process's BLAS threads.

    Arguments:
        launched: what the launch gave it.

    Attributes:
        now: how many it has, and why.
    """

    def __init__(self, launched: runtime.Threads) -> None:
        self.now = self._launched = launched

    def settle(self, comm: Communicator) -> None:
        """Take what the launch gave, corrected by what only the ranks together know: how many share these cores.

        Every rank has to call it.
        """
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        everyone = comm.allgather((comm.host, cores))
        chosen = self._launched
        if cores and chosen.derived:
            sharing = sum(1 for host, other in everyone if host == comm.host and set(other) & set(cores))
            ranks = f"{sharing} ranks" if sharing > 1 else "1 rank"
            chosen = runtime.Threads(max(1, len(cores) // sharing), f"{len(cores)} cores for {ranks}", derived=True)
        runtime.use_cores(chosen.count)
        runtime.set_threads(chosen.count)  # even if that is what it has: numpy may have loaded before it was chosen
        self.now = chosen

    def use(self, count: int, reason: str) -> None:
        """Take ``count`` threads, for a reason that the run reports."""
        runtime.set_threads(count)
        self.now = runtime.Threads(count, reason)


#: Of this process.
blas_threads = BlasThreads(runtime.prepare())
