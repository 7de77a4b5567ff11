"""Which epoch is the best, by any value that is one number; and what ends a run by it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn import checkpoint
from distnn.arrays import Array
from distnn.errors import DistnnError, UsageError
from distnn.inference.load import restore
from distnn.layers import Dense, Sequential
from distnn.metrics import Metric
from distnn.metrics.statistic import Confusion, Statistic
from distnn.parallel.communicator import Communicator
from distnn.session.fit import fit
from distnn.session.monitor import Monitor
from distnn.session.progress import Progress
from distnn.session.records import EvaluationRecord
from tests.support.listening import Ear, scores, trained
from tests.support.runs import blobs, distnn, line, metrics, run_file, saved

#: A step that is too long makes the scores jump about.
JUMPY: dict[str, Any] = {"optimizer": {"learning_rate": 3.0, "momentum": 0.9}}
F1: dict[str, Any] = {"metrics": {"kinds": ["f1", {"kind": "f1", "average": "none"}, "calibration_error"]}}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Clouds that overlap."""
    return blobs(tmp_path / "blobs.h5", {"train": 100, "validation": 60, "test": 40}, features=2, seed=2)


def of(ear: Ear, name: str) -> list[float]:
    return [float(record.metrics[name]) for record in ear.of("validation")]  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "best"), [("f1", np.argmax), ("calibration_error", np.argmin)])
def test_best_is_by_the_metric_that_is_monitored(name: str, best: Any, data: Path, tmp_path: Path) -> None:
    chosen: dict[str, Any] = JUMPY | F1 | {"train": {"epochs": 8, "monitor": name}}
    summary, ear = trained(data, tmp_path / "run", **chosen)
    values = of(ear, name)
    place = int(best(values))
    assert place != int(np.argmin([record.loss for record in ear.of("validation")])), "the loss would choose another"
    assert (summary.best, summary.best_of) == (values[place], f"validation {name}")
    assert summary.best_step == 4 * (place + 1)
    kept = checkpoint.load(tmp_path / "run" / "checkpoints" / "best").progress
    assert (kept["epoch"], kept["best"], kept["best_of"]) == (place + 1, values[place], f"validation {name}")
    marks = [record.best for record in ear.of("validation")]
    assert marks.index(True) == 0 and [k for k, mark in enumerate(marks) if mark][-1] == place
    origin = restore(tmp_path / "run" / "checkpoints" / "best", Communicator()).origin
    assert f"the best of its run so far: validation {name} {values[place]:.6g}" in origin


def test_accuracy_can_be_monitored_and_in_training_too(tmp_path: Path) -> None:
    data = blobs(tmp_path / "b.h5", {"train": 100})
    summary, ear = trained(data, tmp_path / "run", train={"epochs": 5, "monitor": "accuracy"}, **JUMPY)
    assert (summary.best, summary.best_of) == (
        max(record.accuracy or 0 for record in ear.of("train")),
        "train accuracy",
    )


@pytest.mark.parametrize(("name", "target"), [("f1", 0.8), ("calibration_error", 0.2), ("loss", 0.5)])
def test_a_target_ends_the_run(name: str, target: float, data: Path, tmp_path: Path) -> None:
    chosen: dict[str, Any] = F1 | {"train": {"epochs": 200, "monitor": name, "target": target}}
    summary, ear = trained(data, tmp_path / "run", **chosen)
    assert (summary.reason, summary.complete) == (f"the validation {name} reached the target {target:g}", True)
    values = [record.loss for record in ear.of("validation")] if name == "loss" else of(ear, name)
    reached = [value >= target if name == "f1" else value <= target for value in values]
    assert reached.index(True) == len(reached) - 1 > 0
    again, ear = trained(data, tmp_path / "run", resume="auto", **chosen)
    assert (again.reason, ear.steps) == (summary.reason, [])


def test_patience_wants_a_gain(data: Path, tmp_path: Path) -> None:
    chosen: dict[str, Any] = F1 | {"train": {"epochs": 200, "monitor": "f1", "patience": 3, "min_delta": 0.2}}
    summary, ear = trained(data, tmp_path / "run", **chosen)
    assert summary.reason == "no better f1, by more than 0.2, for 3 epochs"
    values, gained = of(ear, "f1"), [0]
    for epoch, value in enumerate(values):
        if value > values[gained[-1]] + 0.2:
            gained.append(epoch)
    assert summary.epoch == gained[-1] + 4
    assert summary.best == max(values) > values[gained[-1]], "the best needs no such gain"


def test_a_restart_keeps_the_best_and_one_that_monitors_another_value_says_that_it_begins_anew(
    data: Path, tmp_path: Path
) -> None:
    def section(epochs: int, monitor: str = "f1") -> dict[str, Any]:
        return JUMPY | F1 | {"train": {"epochs": epochs, "monitor": monitor}}

    whole, _ = trained(data, tmp_path / "whole", **section(9))
    trained(data, tmp_path / "run", **section(5))
    rest, ear = trained(data, tmp_path / "run", resume="auto", **section(9))
    assert (rest.best, rest.best_step, rest.best_of, ear.warnings) == (whole.best, whole.best_step, whole.best_of, [])
    assert saved(tmp_path / "run").progress["stale"] == saved(tmp_path / "whole").progress["stale"]
    other, ear = trained(data, tmp_path / "run", resume="auto", **section(11, "loss"))
    losses = [record.loss for record in ear.of("validation")]
    (warning,) = ear.warnings
    assert warning == "the validation f1 said which epoch is best, and the validation loss does now: best begins anew."
    assert (other.best, other.best_step) == (min(losses), 4 * (10 + int(np.argmin(losses))))


def test_a_checkpoint_that_does_not_say_what_was_monitored_meant_the_loss() -> None:
    old, progress = {"best": 0.5, "best_step": 4, "stale": 2, "step": 9}, {"best": 0.5, "best_step": 4, "stale": 2}
    assert Monitor("loss", "train", higher=False).kept(old) == {"reference": 0.5, "step": 9} | progress
    assert Monitor("f1", "validation", higher=True).kept(old) == {"step": 9}


RECORD = EvaluationRecord("validation", 1, 4, scores(10, 0.5, 0.9), 0.1, {"f1": 0.5, "iou_none": [0.1, 0.2]})


@given(st.lists(st.floats(allow_nan=True), min_size=1), st.booleans(), st.floats(0, 10))
def test_judging(values: list[float], higher: bool, least: float) -> None:
    """By a loop over all values so far; a value that is no number never is the best."""
    monitor, progress = Monitor("f1", "validation", higher), Progress(0, 1, 1, sums=scores(1, 0))
    reference = math.nan
    for step, value in enumerate(values):
        progress.step = step
        progress.stale += 1
        best = monitor.judge(dataclasses.replace(RECORD, metrics={"f1": value}), progress, least)
        numbers = [each for each in values[: step + 1] if not math.isnan(each)]
        found = (max if higher else min)(numbers, default=None)
        assert progress.best == found
        assert best == (found is not None and values.index(found) == step)
        if math.isnan(reference) or (value > reference + least if higher else value < reference - least):
            reference = value
            assert progress.stale == (1 if math.isnan(value) else 0) or math.isnan(value)
    assert (progress.reference is None) == math.isnan(reference)
    assert progress.reference is None or progress.reference == reference


def test_what_is_not_one_number_ends_the_run_in_words() -> None:
    with pytest.raises(DistnnError, match=r"the metric iou_none has the value \[0.1, 0.2\]; expected one number"):
        Monitor("iou_none", "validation", higher=True).value(RECORD)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "f1_none",
            r'train.monitor is "f1_none", which is more than one number, .*; list {kind = "f1", average = "macro"} or '
            r'{kind = "f1", average = "micro"} in metrics.kinds, and monitor f1 or f1_micro. Expected one of: loss, '
            r"accuracy, top_2",
        ),
        ("confusion_matrix", r"more than one number, .*the better one. Expected one of: loss, accuracy, top_2"),
        ("top_3", r"which the run doesn't compute. Expected one of: loss, accuracy, top_2 \(did you mean 'top_2'"),
        ("iou", r'doesn\'t compute: add it to metrics.kinds, as kinds = \["iou"\]. Expected one of'),
    ],
)
def test_what_cannot_be_monitored(name: str, words: str, data: Path, tmp_path: Path) -> None:
    kinds = [{"kind": "f1", "average": "none"}, "confusion_matrix", {"kind": "top_k", "k": 2}]
    with pytest.raises(UsageError, match=words) as caught:
        trained(data, tmp_path / "run", train={"monitor": name}, metrics={"kinds": kinds})
    assert caught.value.keys == ("train", "monitor")
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_monitored_for_lack_of_validation_or_of_accuracy(tmp_path: Path) -> None:
    data = blobs(tmp_path / "b.h5", {"train": 60})
    with pytest.raises(UsageError, match="metrics are computed of the validation split, which the data lack. Expected"):
        trained(data, tmp_path / "run", train={"monitor": "f1"}, **F1)
    data, linear = line(tmp_path / "line.h5", {"train": 60}), {"kind": "linear"}
    with pytest.raises(UsageError, match='"accuracy", which the run doesn\'t compute. Expected one of: loss'):
        trained(data, tmp_path / "run", train={"monitor": "accuracy"}, model=linear)
    with pytest.raises(UsageError, match="target_accuracy: a regression has no accuracy"):
        trained(data, tmp_path / "run", train={"target_accuracy": 0.9}, model=linear)


class Wrong(Metric):
    """How many are wrong."""

    def statistic(self, width: int) -> Statistic:
        return Confusion(width)

    def value(self, sums: Array, width: int) -> float:
        return float(sums.sum() - np.trace(sums.reshape(width, width)))


class Less(Wrong):
    """The same, of which fewer are better."""

    higher_is_better = False


def test_a_metric_of_ones_own_has_to_say_which_of_two_values_is_better(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Wrong doesn't say which of two values is better: set its higher_is_better"):
        fit(Sequential(Dense(3)), data, out=tmp_path / "run", metrics=[Wrong()], monitor="Wrong")
    ear = Ear()
    fitted = fit(Sequential(Dense(3)), data, out=tmp_path / "run", metrics=[Less()], monitor="Less", listener=ear)
    assert fitted.summary.best == min(of(ear, "Less"))


def test_min_delta_without_patience_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"train.min_delta has no meaning without patience"):
        run_file(tmp_path / "run.toml", train={"min_delta": 0.1})


def test_where_a_user_sees_it(data: Path, tmp_path: Path) -> None:
    sections: dict[str, Any] = {"model": {"kind": "softmax"}, "data": {"path": str(data)}}
    run = run_file(tmp_path / "run.toml", train={"epochs": 2, "monitor": "f1"}, **sections, **F1)
    done = distnn("train", run, "--out", tmp_path / "out")
    assert done.returncode == 0, done
    assert "loss: cross_entropy in nats, the mean over all targets; best is the highest validation f1" in done.stdout
    first, *_ = (text for text in done.stdout.splitlines() if "epoch 1  validation" in text)
    assert first.endswith("  best so far")
    (start,), (end,) = metrics(tmp_path / "out", "start"), metrics(tmp_path / "out", "end")
    assert (start["monitor"], start["higher_is_better"]) == ("validation f1", True)
    assert end["best_of"] == "validation f1"
    values = [each for each in metrics(tmp_path / "out", "evaluation") if each["split"] == "validation"]
    assert values[0]["best"] is True
    assert f"validation f1 {end['best']:#.6g} at step" in done.stdout
    assert "best_of = validation f1" in distnn("inspect", tmp_path / "out").stdout
