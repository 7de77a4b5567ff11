"""What every metric is: a closing formula for a statistic that is summed over the samples of a split."""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from distnn.arrays import Array
from distnn.errors import UsageError
from distnn.metrics.statistic import DIGITS, Statistic, digits
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
        higher_is_better: which of two values is the better one; None where nobody has said.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "segmentation", "language")
    higher_is_better: ClassVar[bool | None] = None

    @property
    def name(self) -> str:
        """What the value is called where it is told."""
        return self.kind or type(self).__name__

    @property
    def single(self) -> bool:
        """Whether the value is one number, so that of two epochs one is better."""
        return True

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

    def add(self, total: Array, predictions: Array, targets: Array, weights: Array | None) -> None:
        """Add samples to each; see `Statistic.add`."""
        more = () if weights is None else (weights,)  # a statistic of a user's own may have none
        for statistic, where in self.where.items():
            statistic.add(total[where], predictions, targets, *more)

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
        weighted: whether samples, or their targets, have weights.

    Attributes:
        counts, others: the statistics whose parts may come in any order, and those that are merged in one.
        lengths: of the vectors of both. That of the counts holds them for each of the `digits` of weights.

    Raises:
        UsageError: if one doesn't serve the task or knows no weights, or two have one name.
    """

    def __init__(
        self, metrics: Sequence[Metric], task: str, width: int, ignore: int | None = None, *, weighted: bool = False
    ) -> None:
        self._metrics, self._width, self._ignore = [metric.serving(task) for metric in metrics], width, ignore
        self._classifies, self._weighted = task != "regression", weighted
        names = [metric.name for metric in metrics]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise UsageError(f"metrics: {twice} is there twice; keep one.").at("metrics")
        statistics = {metric.statistic(width): metric.name for metric in metrics}
        for statistic, name in statistics.items():
            if weighted and "weights" not in inspect.signature(statistic.add).parameters:
                raise UsageError(
                    f"metrics: {name} knows no weights, but the samples have some. Give {type(statistic).__name__}.add "
                    f"an argument weights=None, or leave this metric out."
                ).at("metrics")
        self.counts = Statistics(each for each in statistics if each.exact)
        self.others = Statistics(each for each in statistics if not each.exact)
        self.lengths = self.counts.length * (DIGITS if weighted else 1), self.others.length

    def add(
        self, counts: Array, others: Array, predictions: Array, targets: Array, weights: Array | None = None
    ) -> None:
        """Add samples to the vectors of both, as a plan has them: a text's, and an image's, targets count each.

        Arguments:
            weights: of the samples (N,), or of each target; none is negative, and what has 0 leaves no trace.
        """
        if weights is None and self._weighted:
            weights = np.ones(targets.shape)
        if weights is not None:
            weights = weights.reshape(weights.shape + (1,) * (targets.ndim - weights.ndim))
            weights = np.broadcast_to(weights, targets.shape)
        flat = self._labels if self._classifies else self._numbers
        predictions, targets, weights = flat(predictions, targets, weights)
        if not (np.isfinite(predictions).all() and (weights is None or np.isfinite(weights).all())):
            counts += np.nan  # of which no metric can be told
            others += np.nan
        elif len(targets):
            self.others.add(others, predictions, targets, weights)
            if weights is None:
                self.counts.add(counts, predictions, targets, None)
            elif self.counts.length:
                for total, part in zip(counts.reshape(DIGITS, -1), digits(weights), strict=True):
                    if part.any():
                        self.counts.add(total, predictions, targets, part)

    def _labels(self, predictions: Array, targets: Array, weights: Array | None) -> tuple[Array, Array, Array | None]:
        """Probabilities (N, C), labels and weights (N,) of the targets that count."""
        predictions, targets = predictions.reshape(-1, predictions.shape[-1]), targets.reshape(-1)
        weights = None if weights is None else weights.reshape(-1)
        if predictions.shape[1] < self._width:  # the probability of the second of two classes
            predictions = np.concatenate([1 - predictions, predictions], axis=1)
        counted = np.ones(len(targets), bool) if self._ignore is None else targets != self._ignore
        if weights is not None:
            counted &= weights != 0
        if counted.all():
            return predictions, targets, weights
        return predictions[counted], targets[counted], None if weights is None else weights[counted]

    def _numbers(self, predictions: Array, targets: Array, weights: Array | None) -> tuple[Array, Array, Array | None]:
        """Outputs, targets and weights (N, width); 0 where nothing counts, which may hold anything, NaN too."""
        predictions, targets = (each.reshape(-1, self._width) for each in (predictions, targets))
        if weights is None:
            return predictions, targets, None
        weights = weights.reshape(-1, self._width)
        return np.where(weights == 0, 0, predictions), np.where(weights == 0, 0, targets), weights

    def values(self, counts: Array, others: Array) -> dict[str, Value]:
        """Each metric by its name, of the vectors of all samples; NaN where a prediction is infinite or NaN."""
        found: dict[str, Value] = {}
        if np.isnan(counts).any() or np.isnan(others).any():
            return {metric.name: math.nan for metric in self._metrics}
        if self._weighted:
            counts = counts.reshape(DIGITS, -1).sum(0)
        for metric in self._metrics:
            statistic = metric.statistic(self._width)
            total, group = (counts, self.counts) if statistic.exact else (others, self.others)
            found[metric.name] = metric.value(total[group.where[statistic]], self._width)
        return found
