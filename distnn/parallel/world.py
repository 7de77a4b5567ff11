"""The world that a run lives in: its ranks, how their work makes progress, and how they fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from distnn.parallel import launch
from distnn.parallel.communicator import Communicator
from distnn.parallel.failure import Failures
from distnn.parallel.heartbeat import Heartbeat


@dataclass(frozen=True)
class World:
    """What the work on all ranks together needs.

    Attributes:
        comm: the ranks.
        heartbeat: what this rank reports of its progress.
        failures: what happens where a rank fails or dies.
    """

    comm: Communicator
    heartbeat: Heartbeat
    failures: Failures

    @classmethod
    def of(cls, comm: Communicator) -> World:
        """The world of these ranks, at its beginning; each of them has to make it."""
        return cls(comm, Heartbeat(), Failures(comm))

    @classmethod
    def open(cls, mpi: Any = None) -> World:
        """The world of an mpi4py communicator, or of all ranks that were launched together.

        Without an MPI library it is a single rank, with one line of warning.

        Raises:
            LaunchError: if a launcher promised several ranks and each sees only itself, or couldn't but end.
        """
        return cls.of(Communicator(mpi if mpi is not None else launch.communicator()))
