"""Learning-rate schedules: functions from the step to a factor of the learning rate.

A step is one update, counted from 0. Every schedule may begin with a warm-up: over the first w steps the factor grows
linearly, (step + 1) / w of what the schedule itself gives (Goyal et al., Accurate, Large Minibatch SGD, 2017).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from distnn.registry import BelowOne, Count, CountOrZero, Family, Fraction, Registered

#: From the step to the factor.
Factor = Callable[[int], float]


@dataclass(frozen=True, kw_only=True)
class Schedule(
    Registered,
    family=Family(
        "schedule",
        meaning="the shape of the learning rate over time",
        about="The learning rate over time.",
        default="constant",
    ),
):
    """A learning-rate schedule: a subclass has `factor`.

    Raises:
        UsageError: for a value outside its range.
    """

    warmup_steps: CountOrZero = 0  #: steps over which the rate first grows linearly

    @abstractmethod
    def factor_at(self, step: int, epoch_steps: int, total_steps: int) -> float:
        """The factor at ``step``, but for the warm-up, in a run of ``total_steps``, ``epoch_steps`` in each epoch."""

    def over(self, epoch_steps: int, epochs: int) -> Factor:
        """The factor at each step of a run of so many epochs of so many steps each."""
        total, warm = epoch_steps * epochs, self.warmup_steps

        def factor(step: int) -> float:
            return self.factor_at(step, epoch_steps, total) * min(1.0, (step + 1) / warm if warm else 1.0)

        return factor


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule, kind="constant"):
    """1."""

    def factor_at(self, step: int, epoch_steps: int, total_steps: int) -> float:
        return 1.0


@dataclass(frozen=True, kw_only=True)
class StepDecay(Schedule, kind="step"):
    """factor ^ ⌊step / every⌋, with so many steps as ``every_epochs`` have."""

    every_epochs: Count  #: epochs after which the rate is multiplied by factor
    factor: Fraction = 0.1  #: by which the rate is multiplied

    def factor_at(self, step: int, epoch_steps: int, total_steps: int) -> float:
        return self.factor ** (step // (epoch_steps * self.every_epochs))


@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule, kind="cosine"):
    """final + (1 − final) (1 + cos π t) / 2, with t from 0 after the warm-up to 1 at the run's end.

    Source: Loshchilov and Hutter, SGDR, 2017, without restarts.
    """

    final: BelowOne = 0.0  #: the last rate, as a fraction of the first

    def factor_at(self, step: int, epoch_steps: int, total_steps: int) -> float:
        length = max(1, total_steps - self.warmup_steps)
        t = min(1.0, max(0, step - self.warmup_steps) / length)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * t)) / 2


@dataclass(frozen=True, kw_only=True)
class ScheduleFunction(Schedule):
    """A function of the step, from 0, as a schedule; `distnn.fit` makes it of one."""

    function: Callable[[int], float]

    def factor_at(self, step: int, epoch_steps: int, total_steps: int) -> float:
        return float(self.function(step))
