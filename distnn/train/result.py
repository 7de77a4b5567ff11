"""What a step came to: what it summed, what the ranks agreed on, and where the time went."""

from __future__ import annotations

from dataclasses import dataclass

from distnn.sums import Sums


@dataclass
class Seconds:
    """This rank's seconds of computing, of communicating, and of waiting for samples."""

    compute: float = 0.0
    comm: float = 0.0
    data: float = 0.0

    def __iadd__(self, other: Seconds) -> Seconds:
        self.compute += other.compute
        self.comm += other.comm
        self.data += other.data
        return self

    @property
    def total(self) -> float:
        """All of them."""
        return self.compute + self.comm + self.data


@dataclass(frozen=True)
class StepResult:
    """The same on every rank, but for the seconds.

    Attributes:
        sums: over the step's samples of all ranks.
        stop, save: how many ranks wished to stop, and to save.
        bad: whether the loss or a gradient was infinite or NaN, so that nothing was updated.
        norm: of the mean gradient before clipping; 0 where nothing is clipped.
        spent: this rank's seconds.
    """

    sums: Sums
    stop: int
    save: int
    bad: bool
    norm: float
    spent: Seconds
