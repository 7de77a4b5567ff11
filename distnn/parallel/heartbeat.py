"""How a rank's work makes progress."""

from __future__ import annotations


class Heartbeat:
    """What this rank's work reports of its progress; `distnn.supervision.watchdog` reads it in another thread.

    Attributes:
        beats: how often the work has made progress.
        doing: what it is at.
        patience: how many seconds may pass without a beat; 0 for any number.
    """

    def __init__(self) -> None:
        self.beats, self.doing = 0, "the beginning"
        self.patience = 0.0

    def beat(self, doing: str = "") -> None:
        """The work has made progress, to ``doing`` if that is new."""
        self.beats += 1
        self.doing = doing or self.doing

    def expect_within(self, seconds: float) -> None:
        """From now on so many seconds may pass without a beat; 0 for any number."""
        self.patience = seconds
