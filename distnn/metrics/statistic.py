"""What metrics are computed from: sums over samples, which parts of a split add to, in any number of parts.

A statistic is a vector. Its parts are merged in a fixed order, so that the bits don't depend on who computed them;
counts are exact in any order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from distnn.arrays import Array


@dataclass(frozen=True)
class Statistic(ABC):
    """Something that is summed over samples.

    Arguments:
        width: the number of classes, or of outputs of a regression.

    Attributes:
        length: of its vector.
        exact: whether it only counts, so that the order of its parts doesn't matter.
    """

    width: int

    exact = True

    @property
    @abstractmethod
    def length(self) -> int:
        """How many numbers it has."""

    @abstractmethod
    def add(self, total: Array, predictions: Array, targets: Array) -> None:
        """Add samples: predictions (N, width), and targets: labels (N,), or (N, width) of a regression."""

    def merge(self, total: Array, more: Array) -> None:
        """Add the vector of further samples."""
        total += more


@dataclass(frozen=True)
class Confusion(Statistic):
    """How often class i was taken for class j: a matrix (width, width) with a row for each true class."""

    @property
    def length(self) -> int:
        """width²."""
        return self.width**2

    def add(self, total: Array, predictions: Array, targets: Array) -> None:
        """The predicted class is the likeliest, the first of several."""
        pairs = targets.astype(np.int64) * self.width + predictions.argmax(1)
        total += np.bincount(pairs, minlength=self.length)


@dataclass(frozen=True)
class Ranks(Statistic):
    """How often the true class had the r-th largest probability, r = 0, 1, …; of equal ones the first comes first."""

    @property
    def length(self) -> int:
        """width."""
        return self.width

    def add(self, total: Array, predictions: Array, targets: Array) -> None:
        """Count those that are larger, or equal and before it."""
        true = predictions[np.arange(len(targets)), targets.astype(np.int64)][:, None]
        before = np.arange(self.width) < targets[:, None]
        ranks = ((predictions > true) | ((predictions == true) & before)).sum(1)
        total += np.bincount(ranks, minlength=self.width)


@dataclass(frozen=True)
class Scores(Statistic):
    """For each class a histogram of its probability, over the samples of other classes and over its own.

    The vector is (width, 2, bins): bin b counts probabilities of at least b / bins, and below the next.
    """

    bins: int = 1024

    @property
    def length(self) -> int:
        """width · 2 · bins."""
        return self.width * 2 * self.bins

    def add(self, total: Array, predictions: Array, targets: Array) -> None:
        """A probability of 1 is in the last bin."""
        bins = np.minimum((predictions.astype(np.float64) * self.bins).astype(np.int64), self.bins - 1)
        classes = np.arange(self.width)
        own = (targets[:, None] == classes).astype(np.int64)
        places = (classes * 2 + own) * self.bins + bins
        total += np.bincount(places.reshape(-1), minlength=self.length)


@dataclass(frozen=True)
class Confidences(Statistic):
    """By bins of the likeliest class's probability: how many samples, how many right, and Σ of the probability.

    The vector is (3, bins): bin b is of probabilities above b / bins, up to (b + 1) / bins.
    """

    bins: int = 15

    exact = False

    @property
    def length(self) -> int:
        """3 · bins."""
        return 3 * self.bins

    def add(self, total: Array, predictions: Array, targets: Array) -> None:
        """In float64, whatever the predictions are in."""
        confidence = predictions.max(1).astype(np.float64)
        right = predictions.argmax(1) == targets
        bins = np.clip(np.ceil(confidence * self.bins).astype(np.int64) - 1, 0, self.bins - 1)
        for row, weights in enumerate((None, right, confidence)):
            total[row * self.bins : (row + 1) * self.bins] += np.bincount(bins, weights, self.bins)


#: The rows of `Errors`, each of ``width``.
COUNT, MEAN_Y, MEAN_P, SQUARES_Y, SQUARES_P, PRODUCTS, ABSOLUTE, SQUARED, LARGEST = range(9)


@dataclass(frozen=True)
class Errors(Statistic):
    """Of targets y, predictions p and errors e = p − y, for each output, what follows in this order.

    The number of samples; the means of y and p; Σ (y − mean)², Σ (p − mean)² and Σ of their products; Σ |e|; Σ e²; the
    largest |e|. Parts are merged by the pairwise update of Chan, Golub & LeVeque, Algorithms for Computing the Sample
    Variance, 1983, which loses nothing where the mean is large.
    """

    exact = False

    @property
    def length(self) -> int:
        """9 · width."""
        return 9 * self.width

    def add(self, total: Array, predictions: Array, targets: Array) -> None:
        """In float64, whatever they are in."""
        y, p = targets.astype(np.float64), predictions.astype(np.float64)
        found = np.empty((9, self.width))
        found[COUNT] = len(y)
        found[MEAN_Y], found[MEAN_P] = y.mean(0), p.mean(0)
        dy, dp, error = y - found[MEAN_Y], p - found[MEAN_P], p - y
        found[SQUARES_Y], found[SQUARES_P], found[PRODUCTS] = (dy * dy).sum(0), (dp * dp).sum(0), (dy * dp).sum(0)
        found[ABSOLUTE], found[SQUARED] = np.abs(error).sum(0), (error * error).sum(0)
        found[LARGEST] = np.abs(error).max(0)
        self.merge(total, found.reshape(-1))

    def merge(self, total: Array, more: Array) -> None:
        """With n = n₁ + n₂ and δ the difference of the means, Σ (y − mean)² grows by δ² n₁ n₂ / n as well."""
        a, b = total.reshape(9, self.width), more.reshape(9, self.width)
        count = a[COUNT] + b[COUNT]
        share = np.divide(b[COUNT], count, out=np.zeros(self.width), where=count > 0)
        dy, dp = b[MEAN_Y] - a[MEAN_Y], b[MEAN_P] - a[MEAN_P]
        both = a[COUNT] * share
        a[SQUARES_Y] += b[SQUARES_Y] + dy * dy * both
        a[SQUARES_P] += b[SQUARES_P] + dp * dp * both
        a[PRODUCTS] += b[PRODUCTS] + dy * dp * both
        a[MEAN_Y] += dy * share
        a[MEAN_P] += dp * share
        a[ABSOLUTE] += b[ABSOLUTE]
        a[SQUARED] += b[SQUARED]
        np.maximum(a[LARGEST], b[LARGEST], out=a[LARGEST])
        a[COUNT] = count
