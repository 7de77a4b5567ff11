"""Learning-rate schedules: functions from the step to a factor of the learning rate.

A step is one update, counted from 0. Every schedule may begin with a warm-up: over the first w steps the factor grows
linearly, (step + 1) / w of what the schedule itself gives (Goyal et al., Accurate, Large Minibatch SGD, 2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from distnn.errors import UsageError, nearest

KINDS = ("constant", "step", "cosine")


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule.

        constant   1
        step       factor ^ ⌊step / every_steps⌋
        cosine     final + (1 − final) (1 + cos π t) / 2,   t from 0 after the warm-up to 1 at ``total_steps``

    Cosine: Loshchilov and Hutter, SGDR, 2017, without restarts.

    Arguments:
        kind: constant, step or cosine.
        total_steps: of the whole run; for cosine.
        warmup_steps: the length of the warm-up; 0 for none.
        every_steps, factor: for step.
        final: what cosine ends with, as a fraction of the learning rate.

    Raises:
        UsageError: for an unknown kind, or what the kind needs and hasn't got.
    """

    kind: str = "constant"
    total_steps: int = 0
    warmup_steps: int = 0
    every_steps: int = 0
    factor: float = 0.1
    final: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(
                f"unknown schedule '{self.kind}'{nearest(self.kind, KINDS)}; known are {', '.join(KINDS)}."
            )
        if self.kind == "step" and self.every_steps < 1:
            raise UsageError("schedule step: every_steps must be at least 1.")
        if self.kind == "cosine" and self.total_steps < 1:
            raise UsageError("schedule cosine: total_steps must be at least 1.")

    def __call__(self, step: int) -> float:
        """The factor at ``step``."""
        return self._shape()(step) * min(1.0, (step + 1) / self.warmup_steps if self.warmup_steps else 1.0)

    def _shape(self) -> Callable[[int], float]:
        if self.kind == "step":
            return lambda step: self.factor ** (step // self.every_steps)
        if self.kind == "cosine":
            return self._cosine
        return lambda step: 1.0

    def _cosine(self, step: int) -> float:
        length = max(1, self.total_steps - self.warmup_steps)
        t = min(1.0, max(0, step - self.warmup_steps) / length)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * t)) / 2
