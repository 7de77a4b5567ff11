"""Metrics of a regression, of prediction p and target y; with several outputs their mean.

Where there are weights w, each term of a sum counts w times, and n is Σ w. An output of which nothing counts has the
value NaN, and isn't in the mean.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np

from distnn.arrays import Array
from distnn.metrics import statistic
from distnn.metrics.metric import Metric, Value
from distnn.metrics.statistic import Errors, Statistic


@dataclass(frozen=True)
class _OfErrors(Metric):
    """Computed for each output from sums of errors."""

    #: over the outputs: mean: their mean; none: one value for each output
    average: Literal["mean", "none"] = "mean"

    tasks = ("regression",)
    higher_is_better = False

    @property
    def name(self) -> str:
        """The kind, and whether it is of each output."""
        return self.kind if self.average == "mean" else f"{self.kind}_{self.average}"

    @property
    def single(self) -> bool:
        """Whether it is averaged."""
        return self.average != "none"

    def statistic(self, width: int) -> Statistic:
        return Errors(width)

    def value(self, sums: Array, width: int) -> Value:
        rows = sums.reshape(9, width)
        some = rows[statistic.COUNT] > 0
        if self.average == "mean":
            return self.together(self.of(rows[:, some])) if some.any() else math.nan
        each = np.full(width, np.nan)
        each[some] = self.of(rows[:, some])
        return [float(value) for value in each]

    def together(self, each: Array) -> float:
        """One value for all outputs."""
        return float(each.mean())

    @abstractmethod
    def of(self, sums: Array) -> Array:
        """By output, of the rows of `Errors`."""


@dataclass(frozen=True)
class MeanAbsoluteError(_OfErrors, kind="mae"):
    """Σ |p − y| / n."""

    def of(self, sums: Array) -> Array:
        return np.asarray(sums[statistic.ABSOLUTE] / sums[statistic.COUNT])


@dataclass(frozen=True)
class RootMeanSquaredError(_OfErrors, kind="rmse"):
    """√(Σ (p − y)² / n)."""

    def of(self, sums: Array) -> Array:
        return np.asarray(np.sqrt(sums[statistic.SQUARED] / sums[statistic.COUNT]))


@dataclass(frozen=True)
class R2(_OfErrors, kind="r2"):
    """The coefficient of determination, 1 − Σ (p − y)² / Σ (y − mean)².

    Where all targets are equal it is 1 if they are met exactly, and 0 if not, as in scikit-learn.
    """

    higher_is_better = True

    def of(self, sums: Array) -> Array:
        error, spread = sums[statistic.SQUARED], sums[statistic.SQUARES_Y]
        share = np.divide(error, spread, out=(error > 0).astype(np.float64), where=spread > 0)
        return np.asarray(1 - share)


@dataclass(frozen=True)
class MaximumError(_OfErrors, kind="max_error"):
    """The largest |p − y|, of all outputs where one value is asked for."""

    def of(self, sums: Array) -> Array:
        return np.asarray(sums[statistic.LARGEST])

    def together(self, each: Array) -> float:
        return float(each.max())


@dataclass(frozen=True)
class PearsonR(_OfErrors, kind="pearson_r"):
    """The correlation Σ (p − mean)(y − mean) / √(Σ (p − mean)² Σ (y − mean)²); 0 where one of them doesn't vary."""

    higher_is_better = True

    def of(self, sums: Array) -> Array:
        both = np.sqrt(sums[statistic.SQUARES_Y] * sums[statistic.SQUARES_P])
        return np.asarray(np.divide(sums[statistic.PRODUCTS], both, out=np.zeros(len(both)), where=both > 0))
