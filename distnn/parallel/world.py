"""The world that a run lives in: its ranks, how their work makes progress, and how they fail."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from distnn.parallel import launch
from distnn.parallel.communicator import Communicator
from distnn.parallel.failure import Failures


@dataclass
class Heartbeat:
    """What this rank's work reports of its progress; `distnn.supervision.watchdog` reads it in another thread.

    Attributes:
        beats: how often the work has made progress.
        doing: what it is at.
        patience: how many seconds may pass without a beat; 0 for any number.
        changed: set when the patience is: a clock that runs without Python's threads is set anew at once.
    """

    beats: int = 0
    doing: str = "the beginning"
    patience: float = 0.0
    changed: threading.Event = field(default_factory=threading.Event)

    def beat(self, doing: str = "") -> None:
        """The work has made progress, to ``doing`` if that is new."""
        self.beats += 1
        self.doing = doing or self.doing

    def expect_within(self, seconds: float) -> None:
        """From now on so many seconds may pass without a beat; 0 for any number."""
        self.patience = seconds
        self.changed.set()


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
