"""Numbers about 0, of a spread of 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from distnn.arrays import Array
from distnn.data.transforms.exploration import COUNT, MEAN, SQUARES, Axis, Exploration, Spread
from distnn.data.transforms.transform import State, Transform, unvarying


@dataclass(frozen=True)
class Standardize(Transform, kind="standardize"):
    """(x − mean) / σ, with the mean and the standard deviation σ (over n, not n − 1) of the training samples.

    NaN is left out of both, and stays NaN. What doesn't vary becomes 0: its σ is taken as 1, where its variance v is
    what rounding makes of n equal numbers, v ≤ n ε v + (n ε mean)², as in scikit-learn's ``StandardScaler``.
    """

    state: ClassVar[tuple[str, ...]] = ("mean", "deviation", "constant")

    #: what is standardised by itself: each number of a sample, each channel (the last axis), or all numbers together
    axis: Axis = "feature"

    def exploration(self, shape: tuple[int, ...]) -> Exploration:
        return Spread(shape, self.axis)

    def fit(self, found: Any, shape: tuple[int, ...]) -> State:
        count, mean = found[COUNT], found[MEAN]
        variance = found[SQUARES] / np.maximum(count, 1)
        tiny = np.finfo(np.float64).eps
        constant = variance <= count * tiny * variance + (count * mean * tiny) ** 2
        form = Spread(shape, self.axis).form
        deviation = np.where(constant, 1.0, np.sqrt(variance))
        return {"mean": mean.reshape(form), "deviation": deviation.reshape(form), "constant": constant.reshape(form)}

    def remarks(self, state: State) -> list[str]:
        return unvarying(state["constant"], self.axis, "0")

    def apply(self, x: Array, out: Array, state: State) -> None:
        np.subtract(x, state["mean"], out=out)
        np.divide(out, state["deviation"], out=out)

    def invert(self, y: Array, state: State) -> None:
        np.multiply(y, state["deviation"], out=y)
        np.add(y, state["mean"], out=y)
