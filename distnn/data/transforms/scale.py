"""Numbers times a factor, and numbers within limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distnn.arrays import Array
from distnn.data.transforms.transform import State, Transform
from distnn.errors import UsageError
from distnn.registry import Positive


@dataclass(frozen=True)
class Scale(Transform, kind="scale"):
    """factor · x: 1/255 = 0.00392156862745098, for pixels of 8 bits."""

    factor: Positive  #: what the numbers are multiplied by

    def apply(self, x: Array, out: Array, state: State) -> None:
        np.multiply(x, self.factor, out=out)

    def invert(self, y: Array, state: State) -> None:
        np.divide(y, self.factor, out=y)


@dataclass(frozen=True)
class Clip(Transform, kind="clip"):
    """min(max(x, low), high). Predictions are left as they are.

    Raises:
        UsageError: without a limit, or with a lower one that isn't below the upper one.
    """

    low: float | None = None  #: what is below becomes this
    high: float | None = None  #: what is above becomes this

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low is None and self.high is None:
            raise UsageError("Clip: low is missing, and high too; expected at least one of the two.").at("low")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise UsageError(f"Clip: low is {self.low:g}, which must be below high, {self.high:g}.").at("low")

    def apply(self, x: Array, out: Array, state: State) -> None:
        np.clip(x, self.low, self.high, out=out)

    def invert(self, y: Array, state: State) -> None:
        pass
