"""Sums over steps: what a line of the log, or an epoch, tells of them."""

from __future__ import annotations

import time

from distnn.train.step import Step


class Window:
    """Sums over steps, of losses, hits, what they are divided by, targets and samples, since it was last emptied.

    Arguments:
        step: what is counted.
        sums: to go on from, kept up to date.
    """

    def __init__(self, step: Step, sums: list[float] | None = None) -> None:
        self._step = step
        self.sums = [0.0] * 5 if sums is None else sums
        self._start()

    def empty(self) -> None:
        """Begin anew."""
        self.sums[:] = [0.0] * 5
        self._start()

    def _start(self) -> None:
        self.since = time.perf_counter()
        self._spent = (self._step.compute_s, self._step.comm_s, self._step.data_s)

    def add(self) -> None:
        """Count the step that has just run."""
        step = self._step
        for k, value in enumerate((step.loss, step.correct, step.weight, step.count, step.samples)):
            self.sums[k] += value

    @property
    def samples(self) -> int:
        """The samples that were counted."""
        return int(self.sums[4])

    @property
    def loss(self) -> float:
        """The mean loss; 0 where nothing counted."""
        return self.sums[0] / self.sums[2] if self.sums[2] else 0.0

    @property
    def accuracy(self) -> float | None:
        """The share classified right; None for a regression."""
        if self._step.model.correct is None:
            return None
        return self.sums[1] / self.sums[3] if self.sums[3] else 0.0

    @property
    def spent(self) -> tuple[float, float, float]:
        """Seconds of computing, communicating and reading."""
        now = (self._step.compute_s, self._step.comm_s, self._step.data_s)
        return tuple(b - a for a, b in zip(self._spent, now, strict=True))  # type: ignore[return-value]
