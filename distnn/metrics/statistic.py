"""What metrics are computed from: sums over samples, which parts of a split add to, in any number of parts.

A statistic is a vector. Its parts are merged in a fixed order, so that the bits don't depend on who computed them;
counts are exact in any order, and so are sums of the `digits` of weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from distnn.arrays import Array

#: Into how many parts a weight is cut, and how many bits further down each begins.
DIGITS, BITS = 6, 24


def digits(weights: Array) -> Array:
    """Weights (N,), not negative, as `DIGITS` parts (DIGITS, N) whose sum they are, to 2⁻¹²⁰.

    Part k is a whole multiple of 2^(−24 k), below the unit of the part before it. So sums of up to 2²⁹ of one part are
    exact in float64, whatever their order; of the first, whose numbers have no bound, as long as they stay below 2⁵³.
    """
    parts, rest = np.empty((DIGITS, len(weights))), weights.astype(np.float64)
    for place in range(DIGITS):
        unit = 2.0 ** (-BITS * place)
        parts[place] = np.floor(rest / unit) * unit
        rest -= parts[place]
    return parts


@dataclass(frozen=True)
class Statistic(ABC):
    """Something that is summed over samples.

    Arguments:
        width: the number of classes, or of outputs of a regression.

    Attributes:
        length: of its vector.
        exact: whether it only counts, or adds up weights, so that the order of its parts doesn't matter.
    """

    width: int

    exact = True

    @property
    @abstractmethod
    def length(self) -> int:
        """How many numbers it has."""

    @abstractmethod
    def add(self, total: Array, predictions: Array, targets: Array, weights: Array | None = None) -> None:
        """Add samples: predictions (N, width), and targets: labels (N,), or (N, width) of a regression; weights of the
        targets' shape, where not all are 1: one of 2 adds what the sample twice would.
        """

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

    def add(self, total: Array, predictions: Array, targets: Array, weights: Array | None = None) -> None:
        """The predicted class is the likeliest, the first of several."""
        pairs = targets.astype(np.int64) * self.width + predictions.argmax(1)
        total += np.bincount(pairs, weights, self.length)


@dataclass(frozen=True)
class Ranks(Statistic):
    """How often the true class had the r-th largest probability, r = 0, 1, …; of equal ones the first comes first."""

    @property
    def length(self) -> int:
        """width."""
        return self.width

    def add(self, total: Array, predictions: Array, targets: Array, weights: Array | None = None) -> None:
        """Count those that are larger, or equal and before it."""
        true = predictions[np.arange(len(targets)), targets.astype(np.int64)][:, None]
        before = np.arange(self.width) < targets[:, None]
        ranks = ((predictions > true) | ((predictions == true) & before)).sum(1)
        total += np.bincount(ranks, weights, self.width)


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

    def add(self, total: Array, predictions: Array, targets: Array, weights: Array | None = None) -> None:
        """A probability of 1 is in the last bin."""
        bins = np.minimum((predictions.astype(np.float64) * self.bins).astype(np.int64), self.bins - 1)
        classes = np.arange(self.width)
        own = (targets[:, None] == classes).astype(np.int64)
        places = (classes * 2 + own) * self.bins + bins
        each = None if weights is None else np.repeat(weights, self.width)
        total += np.bincount(places.reshape(-1), each, self.length)


@dataclass(frozen=True)
class Confidences(Statistic):
    """By bins of the likeliest class's probability: Σ of the samples' weights, of those right, and of weight times
    probability.

    The vector is (3, bins): bin b is of probabilities above b / bins, up to (b + 1) / bins.
    """

    bins: int = 15

    exact = False

    @property
    def length(self) -> int:
        """3 · bins."""
        return 3 * self.bins

    def add(self, total: Array, predictions: Array, targets: Array, weights: Array | None = None) -> None:
        """In float64, whatever the predictions are in."""
        confidence = predictions.max(1).astype(np.float64)
        right = predictions.argmax(1) == targets
        bins = np.clip(np.ceil(confidence * self.bins).astype(np.int64) - 1, 0, self.bins - 1)
        each = np.ones(len(bins)) if weights is None else weights
        for row, counted in enumerate((each, each * right, each * confidence)):
            total[row * self.bins : (row + 1) * self.bins] += np.bincount(bins, counted, self.bins)


#: The rows of `Errors`, each of ``width``.
COUNT, MEAN_Y, MEAN_P, SQUARES_Y, SQUARES_P, PRODUCTS, ABSOLUTE, SQUARED, LARGEST = range(9)


@dataclass(frozen=True)
class Errors(Statistic):
    """Of targets y, predictions p, errors e = p − y and weights w, for each output, what follows in this order.

    Σ w, the number of samples where none are weighted; the means Σ w y / Σ w of y and p; Σ w (y − mean)²,
    Σ w (p − mean)² and Σ of w times their products; Σ w |e|; Σ w e²; the largest |e| of those with a weight.
    Parts are merged by the pairwise update of Chan, Golub & LeVeque, Algorithms for Computing the Sample Variance,
    1983, which loses nothing where the mean is large.
    """

    exact = False

    @property
    def length(self) -> int:
        """9 · width."""
        return 9 * self.width

    def add(self, total: Array, predictions: Array, targets: Array, weights: Array | None = None) -> None:
        """In float64, whatever they are in."""
        y, p = targets.astype(np.float64), predictions.astype(np.float64)
        w = np.ones(y.shape) if weights is None else weights.astype(np.float64)
        found = np.empty((9, self.width))
        count = found[COUNT] = w.sum(0)
        for row, values in ((MEAN_Y, y), (MEAN_P, p)):
            found[row] = np.divide((w * values).sum(0), count, out=np.zeros(self.width), where=count > 0)
        dy, dp, error = y - found[MEAN_Y], p - found[MEAN_P], p - y
        found[SQUARES_Y], found[SQUARES_P], found[PRODUCTS] = (
            (w * dy * dy).sum(0),
            (w * dp * dp).sum(0),
            (w * dy * dp).sum(0),
        )
        found[ABSOLUTE], found[SQUARED] = (w * np.abs(error)).sum(0), (w * error * error).sum(0)
        found[LARGEST] = np.where(w > 0, np.abs(error), 0).max(0)
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
