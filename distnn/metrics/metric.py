"""What every metric is: a closing formula for a statistic that is summed over the samples of a split."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from distnn.arrays import Array
from distnn.errors import UsageError
from distnn.metrics.statistic import Statistic
from distnn.registry import Family, Registered

#: A number, or one for each class or output, or a matrix.
Value = float | list[Any]


class Metric(
    Registered,
    family=Family(
        "metric",
        meaning="which metric",
        about="What an evaluation computes besides the loss, from sums over all samples of the split.",
    ),
):
    """A kind of metric and its numbers, as a run file's ``[metrics]`` has them.

    Attributes:
        tasks: those that it serves.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "language")

    @property
    def name(self) -> str:
        """What the value is called where it is told."""
        return self.kind or type(self).__name__

    @abstractmethod
    def statistic(self, width: int) -> Statistic:
        """What is summed, for so many classes or outputs; metrics share equal ones."""

    @abstractmethod
    def value(self, sums: Array, width: int) -> Value:
        """The metric, of the statistic's vector for ``width`` classes or outputs."""

    def serving(self, task: str) -> Metric:
        """This metric, if it serves the task.

        Raises:
            UsageError: if it doesn't.
        """
        if task not in self.tasks:
            fitting = [kind for kind, metric in self.family.kinds.items() if task in metric.tasks]  # type: ignore[attr-defined]
            raise UsageError(
                f'metrics: "{self.family.named(self)}" is not for {task}; expected one of: {", ".join(fitting)}.'
            ).at("metrics")
        return self


class Statistics:
    """Statistics side by side in one vector.

    Attributes:
        where: by statistic, where it lies.
        length: of the vector.
    """

    def __init__(self, statistics: Iterable[Statistic]) -> None:
        self.where: dict[Statistic, slice] = {}
        self.length = 0
        for each in dict.fromkeys(statistics):
            self.where[each] = slice(self.length, self.length + each.length)
            self.length += each.length

    def add(self, total: Array, predictions: Array, targets: Array) -> None:
        """Add samples to each; see `Statistic.add`."""
        for statistic, where in self.where.items():
            statistic.add(total[where], predictions, targets)

    def merged(self, rows: Array) -> Array:
        """The vector of the samples of all rows (K, length), taken in their order."""
        total = np.zeros(self.length)
        for row in rows:
            for statistic, where in self.where.items():
                statistic.merge(total[where], row[where])
        return total


class Metrics:
    """Several metrics of one model, and the statistics that they share.

    Arguments:
        metrics: which.
        task: the model's.
        width: its number of classes, or of outputs of a regression.
        ignore: the label that doesn't count, if there is one.

    Attributes:
        counts, others: the statistics whose parts may come in any order, and those that are merged in one.

    Raises:
        UsageError: if one doesn't serve the task, or two have one name.
    """

    def __init__(self, metrics: Sequence[Metric], task: str, width: int, ignore: int | None = None) -> None:
        self._metrics, self._width, self._ignore = [metric.serving(task) for metric in metrics], width, ignore
        self._classifies = task != "regression"
        names = [metric.name for metric in metrics]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise UsageError(f"metrics: {twice} is there twice; keep one.").at("metrics")
        statistics = [metric.statistic(width) for metric in metrics]
        self.counts = Statistics(each for each in statistics if each.exact)
        self.others = Statistics(each for each in statistics if not each.exact)

    def add(self, counts: Array, others: Array, predictions: Array, targets: Array) -> None:
        """Add samples to the vectors of both, as a plan has them."""
        if self._classifies:
            predictions, targets = predictions.reshape(-1, predictions.shape[-1]), targets.reshape(-1)
            if predictions.shape[1] < self._width:  # the probability of the second of two classes
                predictions = np.concatenate([1 - predictions, predictions], axis=1)
            if self._ignore is not None:
                counted = targets != self._ignore
                predictions, targets = predictions[counted], targets[counted]
        else:
            predictions, targets = (each.reshape(-1, self._width) for each in (predictions, targets))
        if not np.isfinite(predictions).all():  # of which no metric can be told
            counts += np.nan
            others += np.nan
        elif len(targets):
            self.counts.add(counts, predictions, targets)
            self.others.add(others, predictions, targets)

    def values(self, counts: Array, others: Array) -> dict[str, Value]:
        """Each metric by its name, of the vectors of all samples; NaN where a prediction is infinite or NaN."""
        found: dict[str, Value] = {}
        if np.isnan(counts).any() or np.isnan(others).any():
            return {metric.name: math.nan for metric in self._metrics}
        for metric in self._metrics:
            statistic = metric.statistic(self._width)
            total, group = (counts, self.counts) if statistic.exact else (others, self.others)
            found[metric.name] = metric.value(total[group.where[statistic]], self._width)
        return found
