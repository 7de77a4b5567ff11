"""What transforms are fitted from: what is found out about a field in one pass over its samples, in any pieces.

What the pieces give is merged in a fixed order, so that the bits don't depend on who read which of them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from distnn.arrays import Array
from distnn.data.partition import Range, part

#: Which numbers have a statistic of their own.
Axis = Literal["feature", "channel", "all"]

#: Pieces of a split at most and, of what takes much memory, at least; and the bytes that all of them may hold together.
PIECES, FEWEST, HELD_BYTES = 256, 8, 64 * 1024 * 1024


class Exploration(ABC):
    """Something that is found out about a field.

    Attributes:
        bytes: that one piece's result takes in memory, about.
    """

    bytes: int

    @abstractmethod
    def empty(self) -> Any:
        """The result for no samples."""

    @abstractmethod
    def add(self, total: Any, values: Array) -> Any:
        """The result ``total`` with more samples, values (n, …) in float64."""

    @abstractmethod
    def merge(self, first: Any, second: Any) -> Any:
        """The result for the samples of both."""

    def merged(self, results: Sequence[Any]) -> Any:
        """The result for all pieces, merged in pairs: the first two, the next two, and so on, then pairs of those."""
        level = list(results) or [self.empty()]
        while len(level) > 1:
            pairs = [level[place : place + 2] for place in range(0, len(level), 2)]
            level = [self.merge(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
        return level[0]


def missing(values: Array, number: float | None) -> Array:
    """Which values are NaN, or the number that stands for a missing one, as it is in float64 or in float32: -99.9,
    which neither of them has, is another one in each.
    """
    found: Array = np.isnan(values)
    if number is not None:
        with np.errstate(over="ignore"):
            stored = float(np.float32(number))
        found |= values == number
        found |= (values == stored) & np.isfinite(stored)
    return found


#: The rows of `Spread`' result.
COUNT, MEAN, SQUARES, LEAST, LARGEST, MISSING = ROWS = range(6)


@dataclass(frozen=True)
class Spread(Exploration):
    """Of the numbers that aren't NaN: how many, their mean, Σ (x − mean)², the least and the largest; and how many are:
    (6, width).

    Two pieces are merged by the update of Chan, Golub & LeVeque, Algorithms for Computing the Sample Variance, 1983,
    which loses nothing where the mean is large: with n = n₁ + n₂ and δ = mean₂ − mean₁, the mean grows by δ n₂ / n, and
    the sum of squares by that of the second and δ² n₁ n₂ / n.

    Arguments:
        shape: of one sample.
        axis: ``feature``: each number of a sample by itself, ``channel``: each place of its last axis; or all together.
        missing: a number that is left out like NaN.
    """

    shape: tuple[int, ...]
    axis: Axis = "feature"
    missing: float | None = None

    @property
    def form(self) -> tuple[int, ...]:
        """The shape of each statistic, which broadcasts over samples: that of a sample, of its channels, or ()."""
        return {"feature": self.shape, "channel": self.shape[-1:], "all": ()}[self.axis]

    @property
    def bytes(self) -> int:  # type: ignore[override]
        """Six numbers for each."""
        return 8 * len(ROWS) * math.prod(self.form)

    def empty(self) -> Array:
        """No number, whose least is above the largest."""
        total = np.zeros((len(ROWS), math.prod(self.form)))
        total[LEAST], total[LARGEST] = np.inf, -np.inf
        return total

    def add(self, total: Array, values: Array) -> Array:
        """The mean of the new ones first, then their squares about it."""
        rows = values.reshape(-1, math.prod(self.form))
        known = ~missing(rows, self.missing)
        more = self.empty()
        more[COUNT] = known.sum(0)
        more[MISSING] = len(rows) - more[COUNT]
        full = bool(known.all())
        kept = rows if full else np.where(known, rows, 0.0)
        more[MEAN] = kept.sum(0) / np.maximum(more[COUNT], 1)
        about = rows - more[MEAN] if full else np.where(known, rows - more[MEAN], 0.0)
        more[SQUARES] = np.square(about, out=about).sum(0)
        more[LEAST] = rows.min(0, initial=np.inf, where=known)
        more[LARGEST] = rows.max(0, initial=-np.inf, where=known)
        return self.merge(total, more)

    def merge(self, first: Array, second: Array) -> Array:
        """Of both."""
        total = self.empty()
        count = first[COUNT] + second[COUNT]
        share = second[COUNT] / np.maximum(count, 1)
        apart = second[MEAN] - first[MEAN]
        total[COUNT], total[MEAN] = count, first[MEAN] + apart * share
        total[MISSING] = first[MISSING] + second[MISSING]
        total[SQUARES] = first[SQUARES] + second[SQUARES] + apart * apart * first[COUNT] * share
        np.minimum(first[LEAST], second[LEAST], out=total[LEAST])
        np.maximum(first[LARGEST], second[LARGEST], out=total[LARGEST])
        return total


@dataclass(frozen=True)
class Distinct(Exploration):
    """The different values of some columns, without NaN, each in ascending order; of very many so many and one more.

    Arguments:
        columns: which numbers of a sample, counted from 0.
        most: values that are told apart.
    """

    columns: tuple[int, ...] = (0,)
    most: int = 10_000

    @property
    def bytes(self) -> int:  # type: ignore[override]
        """Of a hundred values each."""
        return 800 * len(self.columns)

    def empty(self) -> list[Array]:
        """None for any column."""
        return [np.empty(0) for _ in self.columns]

    def add(self, total: list[Array], values: Array) -> list[Array]:
        """Those of the new ones as well."""
        columns = (values.reshape(len(values), -1)[:, column] for column in self.columns)
        return self.merge(total, [np.unique(column[~np.isnan(column)]) for column in columns])

    def merge(self, first: list[Array], second: list[Array]) -> list[Array]:
        """Of both."""
        return [np.union1d(one, other)[: self.most + 1] for one, other in zip(first, second, strict=True)]


def pieces(explorations: Sequence[Exploration], samples: int) -> list[Range]:
    """The pieces of so many samples, each of which has results of its own; the same on any number of ranks."""
    count = min(
        samples, PIECES, max(FEWEST, HELD_BYTES // max(1, sum(exploration.bytes for exploration in explorations)))
    )
    return [part(samples, count, index) for index in range(count)]
