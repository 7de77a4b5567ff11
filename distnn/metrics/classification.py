"""Metrics of a classification, of the pixels of a segmentation, and of the next token of a text; each one counts."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from distnn.arrays import Array
from distnn.metrics.metric import Metric, Value
from distnn.metrics.statistic import Confidences, Confusion, Ranks, Scores, Statistic
from distnn.registry import Count

#: Over the classes: their mean, of all pairs of a sample and a class, or one value for each class.
Average = Literal["macro", "micro", "none"]


def ratio(above: Array, below: Array) -> Array:
    """``above / below``, 0 where that is 0 / 0."""
    return np.divide(above, below, out=np.zeros(np.shape(above)), where=np.asarray(below) != 0)


class _OfConfusion(Metric):
    """Computed from the confusion matrix, a row for each true class."""

    higher_is_better: ClassVar[bool | None] = True

    def statistic(self, width: int) -> Statistic:
        return Confusion(width)


@dataclass(frozen=True)
class ConfusionMatrix(_OfConfusion, kind="confusion_matrix"):
    """How often class i (rows) was taken for class j (columns), or Σ of the weights of those samples."""

    higher_is_better = None

    @property
    def single(self) -> bool:
        """False."""
        return False

    def value(self, sums: Array, width: int) -> Value:
        rows: list[list[float]] = sums.reshape(width, width).tolist()
        return [[int(count) if count.is_integer() else count for count in row] for row in rows]


@dataclass(frozen=True)
class BalancedAccuracy(_OfConfusion, kind="balanced_accuracy"):
    """The mean of the classes' recalls, over the classes that occur.

    Source: Brodersen et al., The Balanced Accuracy and Its Posterior Distribution, 2010.
    """

    def value(self, sums: Array, width: int) -> Value:
        matrix = sums.reshape(width, width)
        true = matrix.sum(1)
        return float(ratio(matrix.diagonal(), true)[true > 0].mean()) if true.any() else 0.0


@dataclass(frozen=True)
class _Averaged(_OfConfusion):
    """Computed for each class from its true positives, and the numbers predicted and true."""

    #: over the classes: macro: their mean; micro: of all classes' counts together; none: one value for each class
    average: Average = "macro"

    @property
    def name(self) -> str:
        """The kind, and how it is averaged where that isn't macro."""
        return self.kind if self.average == "macro" else f"{self.kind}_{self.average}"

    @property
    def single(self) -> bool:
        """Whether it is averaged."""
        return self.average != "none"

    def value(self, sums: Array, width: int) -> Value:
        matrix = sums.reshape(width, width)
        counts = matrix.diagonal(), matrix.sum(0), matrix.sum(1)
        if self.average == "micro":
            return float(self.of(*(np.asarray(count.sum()) for count in counts)))
        each = self.of(*counts)
        return float(each.mean()) if self.average == "macro" else [float(value) for value in each]

    @abstractmethod
    def of(self, right: Array, predicted: Array, true: Array) -> Array:
        """By class."""


@dataclass(frozen=True)
class Precision(_Averaged, kind="precision"):
    """Of the samples that were taken for a class, the share that is of it; 0 where none was."""

    def of(self, right: Array, predicted: Array, true: Array) -> Array:
        return ratio(right, predicted)


@dataclass(frozen=True)
class Recall(_Averaged, kind="recall"):
    """Of the samples of a class, the share that was taken for it; 0 where there are none."""

    def of(self, right: Array, predicted: Array, true: Array) -> Array:
        return ratio(right, true)


@dataclass(frozen=True)
class F1(_Averaged, kind="f1"):
    """2 · precision · recall / (precision + recall); 0 where a class neither occurs nor is predicted."""

    def of(self, right: Array, predicted: Array, true: Array) -> Array:
        return ratio(2 * right, predicted + true)


@dataclass(frozen=True)
class IoU(_Averaged, kind="iou"):
    """Intersection over union: right / (predicted + true − right), also called the Jaccard index."""

    def of(self, right: Array, predicted: Array, true: Array) -> Array:
        return ratio(right, predicted + true - right)


@dataclass(frozen=True)
class TopK(Metric, kind="top_k"):
    """The share of samples whose class is among the k likeliest; of equally likely ones the first count."""

    k: Count = 5  #: how many

    higher_is_better = True

    @property
    def name(self) -> str:
        """With its k."""
        return f"top_{self.k}"

    def statistic(self, width: int) -> Statistic:
        return Ranks(width)

    def value(self, sums: Array, width: int) -> Value:
        return float(ratio(sums[: self.k].sum(), sums.sum()))


class _OfScores(Metric):
    """Computed from histograms of each class's probability: the mean over the classes, of two the second's."""

    tasks = ("classification", "segmentation")
    higher_is_better = True

    def statistic(self, width: int) -> Statistic:
        return Scores(width)

    def value(self, sums: Array, width: int) -> Value:
        others, own = np.moveaxis(sums.reshape(width, 2, -1), 1, 0)
        some = (others.sum(1) > 0) & (own.sum(1) > 0)
        if width == 2:
            some[0] = False
        return float(np.mean([self.of(others[c], own[c]) for c in np.flatnonzero(some)])) if some.any() else 0.0

    @abstractmethod
    def of(self, others: Array, own: Array) -> float:
        """Of one class, against all others."""


@dataclass(frozen=True)
class RocAuc(_OfScores, kind="roc_auc"):
    """The area under the ROC curve, one class against the others: the chance that a sample of the class has the higher
    probability of it, where equal ones count half; 0 where a class has no others.

    It is that of probabilities rounded down to multiples of 1/1024, which differs from the exact one by at most half
    the chance that two samples have the same: Σ own_b others_b / (2 Σ own Σ others).

    Source: Fawcett, An Introduction to ROC Analysis, 2006.
    """

    def of(self, others: Array, own: Array) -> float:
        below = np.cumsum(others) - others
        return float((own * (below + others / 2)).sum() / (own.sum() * others.sum()))


@dataclass(frozen=True)
class AveragePrecision(_OfScores, kind="average_precision"):
    """Σ (R_n − R_{n−1}) P_n over falling thresholds, of precision P and recall R, one class against the others.

    It is that of probabilities rounded down to multiples of 1/1024.
    """

    def of(self, others: Array, own: Array) -> float:
        right = np.cumsum(own[::-1])
        precision = ratio(right, right + np.cumsum(others[::-1]))
        return float((own[::-1] * precision).sum() / own.sum())


@dataclass(frozen=True)
class CalibrationError(Metric, kind="calibration_error"):
    """Σ_b n_b / n |accuracy_b − mean probability_b| over bins b of the likeliest class's probability.

    Source: Naeini, Cooper & Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning, 2015.
    """

    bins: Count = 15  #: of equal width

    higher_is_better = False

    def statistic(self, width: int) -> Statistic:
        return Confidences(width, self.bins)

    def value(self, sums: Array, width: int) -> Value:
        count, right, confidence = sums.reshape(3, -1)
        return float(ratio(np.abs(right - confidence).sum(), count.sum()))
