"""Numbers within a range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from distnn.arrays import Array
from distnn.data.transforms.exploration import COUNT, LARGEST, LEAST, Axis, Exploration, Spread
from distnn.data.transforms.transform import State, Transform, unvarying
from distnn.errors import UsageError


@dataclass(frozen=True)
class MinMax(Transform, kind="min_max"):
    """low + (x − least) (high − low) / (largest − least), with the least and the largest of the training samples.

    Others may lie outside. What doesn't vary becomes ``low``. NaN stays NaN.

    Raises:
        UsageError: if ``low`` isn't below ``high``.
    """

    state: ClassVar[tuple[str, ...]] = ("least", "range", "constant")

    low: float = 0.0  #: what the least becomes
    high: float = 1.0  #: what the largest becomes
    #: what has a range of its own: each number of a sample, each channel (the last axis), or all numbers together
    axis: Axis = "feature"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise UsageError(f"MinMax: low is {self.low:g}, which must be below high, {self.high:g}.").at("low")

    def exploration(self, shape: tuple[int, ...]) -> Exploration:
        return Spread(shape, self.axis)

    def fit(self, found: Any, shape: tuple[int, ...]) -> State:
        least, largest = (np.where(found[COUNT] > 0, found[row], 0.0) for row in (LEAST, LARGEST))
        rounding = 10 * np.finfo(np.float64).eps * np.maximum(np.abs(least), np.abs(largest))
        constant = largest - least <= rounding
        form = Spread(shape, self.axis).form
        return {
            "least": least.reshape(form),
            "range": np.where(constant, 1.0, largest - least).reshape(form),
            "constant": constant.reshape(form),
        }

    def remarks(self, state: State) -> list[str]:
        return unvarying(state["constant"], self.axis, f"{self.low:g}")

    def apply(self, x: Array, out: Array, state: State) -> None:
        np.subtract(x, state["least"], out=out)
        np.divide(out, state["range"], out=out)
        if (self.low, self.high) != (0.0, 1.0):
            np.multiply(out, self.high - self.low, out=out)
            np.add(out, self.low, out=out)

    def invert(self, y: Array, state: State) -> None:
        np.subtract(y, self.low, out=y)
        np.multiply(y, state["range"] / (self.high - self.low), out=y)
        np.add(y, state["least"], out=y)
