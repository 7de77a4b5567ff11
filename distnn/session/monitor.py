"""Which value says which epoch is best: the loss, the accuracy, or a metric of one number."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args, get_type_hints

from distnn.config import TrainSettings
from distnn.errors import DistnnError, UsageError, nearest
from distnn.metrics import Metric
from distnn.models.model import Model
from distnn.session.progress import Progress
from distnn.session.records import EvaluationRecord

#: What begins anew where another value than before says which epoch is best.
_OF_BEST = ("best", "best_step", "reference", "stale")


@dataclass(frozen=True)
class Monitor:
    """Which value says which epoch is best, and ends the run by ``target`` and ``patience``.

    Attributes:
        name: ``loss``, ``accuracy``, or a metric's.
        split: of which it is taken.
        higher: whether a higher value is better.
    """

    name: str
    split: str
    higher: bool

    def __str__(self) -> str:
        return f"{self.split} {self.name}"

    def value(self, record: EvaluationRecord) -> float:
        """What a record has for it.

        Raises:
            DistnnError: if that isn't one number.
        """
        known = {"loss": record.loss, "accuracy": record.accuracy} | dict(record.metrics)
        value = known.get(self.name)
        try:
            return float(value)  # type: ignore[arg-type]
        except TypeError:
            raise DistnnError(
                f"train.monitor: the metric {self.name} has the value {str(value)[:50]}; expected one number, of which "
                f"two can be compared. Monitor another one."
            ) from None

    def better(self, value: float, than: float | None, by: float = 0.0) -> bool:
        """Whether a value is better by more than ``by``; a NaN never is, and a number always, where there was none."""
        if than is None or math.isnan(value):
            return not math.isnan(value)
        return value > than + by if self.higher else value < than - by

    def reached(self, value: float, target: float | None) -> bool:
        """Whether a value is as good as a target, if there is one."""
        return target is not None and (value >= target if self.higher else value <= target)

    def judge(self, record: EvaluationRecord, progress: Progress, min_delta: float) -> bool:
        """Note in the progress what an epoch's record is worth; whether it is the best so far."""
        value = self.value(record)
        if self.better(value, progress.reference, min_delta):
            progress.reference, progress.stale = value, 0
        best = self.better(value, progress.best)
        if best:
            progress.best, progress.best_step = value, progress.step
        return best

    def kept(self, saved: Mapping[str, Any], *, comparable: bool = True) -> dict[str, Any]:
        """A checkpoint's progress; without its best if that isn't ``comparable``, or another value said which."""
        if comparable and said_best(saved, str(self)) == str(self):
            return {"reference": saved.get("best")} | dict(saved)  # not all have a reference
        return {name: value for name, value in saved.items() if name not in _OF_BEST}


def said_best(saved: Mapping[str, Any], now: str) -> str:
    """Which value said which epoch is best, in a checkpoint's progress; where it is silent, it was the loss."""
    return str(saved.get("best_of") or (now if now.endswith(" loss") else "loss"))


def monitor(settings: TrainSettings, metrics: Sequence[Metric], model: Model, splits: Collection[str]) -> Monitor:
    """The monitor that ``train.monitor`` names.

    Raises:
        UsageError: if there is no such value, it isn't one number, or nobody has said which of two is better; for a
            ``target_accuracy`` where there is no accuracy.
    """
    split = "validation" if "validation" in splits else "train"
    classifies, name = model.layout.classifies, settings.monitor
    if settings.target_accuracy is not None and not classifies:
        raise UsageError(
            "train.target_accuracy: a regression has no accuracy. Give target_loss, or target for what monitor names."
        ).at("train", "target_accuracy")
    known = {"loss": False} | ({"accuracy": True} if classifies else {})
    if name in known:
        return Monitor(name, split, known[name])
    metric = next((each for each in metrics if each.name == name), None)
    why = _unfit(metric, split)
    if metric is None or why:
        single = [each.name for each in metrics if not _unfit(each, split)]
        raise UsageError(
            f'train.monitor is "{name}"{why or _unknown(name)}. Expected one of: {", ".join([*known, *single])}'
            f"{nearest(name, single) if metric is None else ''}."
        ).at("train", "monitor")
    return Monitor(name, split, bool(metric.higher_is_better))


def _unknown(name: str) -> str:
    """Why a name isn't known."""
    hint = f': add it to metrics.kinds, as kinds = ["{name}"]' if name in Metric.family.kinds else ""
    return f", which the run doesn't compute{hint}"


def _unfit(metric: Metric | None, split: str) -> str:
    """Why a metric can't be monitored; empty if it can, or there is none."""
    if metric is None:
        return ""
    if split == "train":
        return ", but metrics are computed of the validation split, which the data lack"
    if not metric.single:
        return f", which is more than one number, so no epoch is the better one{_averages(metric)}"
    if metric.higher_is_better is None:
        return f", but {type(metric).__name__} doesn't say which of two values is better: set its higher_is_better"
    return ""


def _averages(metric: Metric) -> str:
    """Which averages of a metric can be monitored, as an entry of ``metrics.kinds``."""
    given: Any = metric
    if not hasattr(given, "__dataclass_fields__") or not hasattr(given, "average"):
        return ""
    ways = get_args(get_type_hints(type(given))["average"])
    made = [each for way in ways if (each := replace(given, average=way)).single]
    entries = " or ".join(f'{{kind = "{each.kind}", average = "{each.average}"}}' for each in made)
    return f"; list {entries} in metrics.kinds, and monitor {' or '.join(each.name for each in made)}" if made else ""
