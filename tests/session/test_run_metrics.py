"""``[metrics]`` in a run: in its records, in its checkpoint, and in what evaluates that."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distnn.arrays import Array
from distnn.errors import RunFileError, UsageError
from distnn.layers import Dense, Flatten, Sequential
from distnn.metrics import F1, Metric
from distnn.metrics.statistic import Confusion, Statistic
from distnn.session.fit import fit
from tests.support.runs import DIGITS, distnn, metrics, run_file

KINDS = ["f1", {"kind": "top_k", "k": 2}, "confusion_matrix"]


@dataclasses.dataclass(frozen=True)
class Errors(Metric):
    """How many were taken for another class."""

    factor: float = 1.0

    @property
    def name(self) -> str:
        return "errors"

    def statistic(self, width: int) -> Statistic:
        return Confusion(width)

    def value(self, sums: Array, width: int) -> float:
        return self.factor * float(sums.sum() - np.trace(sums.reshape(width, width)))


def test_a_run_records_them_and_evaluate_prints_them(tmp_path: Path) -> None:
    run = run_file(tmp_path / "run.toml", train={"epochs": 2}, metrics={"kinds": KINDS})
    done = distnn("train", run, "--out", tmp_path / "out")
    assert done.returncode == 0, done
    records = metrics(tmp_path / "out", "evaluation")
    assert [sorted(each.get("metrics", {})) for each in records if each["split"] == "train"] == [[], []]
    by_split = {each["split"]: each for each in records}
    for split, samples in (("validation", 200), ("test", 300)):
        found = by_split[split]["metrics"]
        assert set(found) == {"f1", "top_2", "confusion_matrix"}
        assert np.sum(found["confusion_matrix"]) == samples
        assert np.trace(found["confusion_matrix"]) / samples == pytest.approx(by_split[split]["accuracy"])
        assert f"f1 {found['f1']:.4f}  top_2 {found['top_2']:.4f}" in done.stdout
    (end,) = metrics(tmp_path / "out", "end")
    assert end["test"]["metrics"] == by_split["test"]["metrics"]
    shown = distnn("evaluate", tmp_path / "out", DIGITS, "--json")
    assert {key: json.loads(shown.stdout)[key] for key in found} == found
    lines = distnn("evaluate", tmp_path / "out", DIGITS).stdout.splitlines()
    assert lines[1] == f"f1 {found['f1']:.4f}  top_2 {found['top_2']:.4f}"
    assert lines[2] == "confusion_matrix:"
    assert [[int(cell) for cell in text.split()[1:]] for text in lines[3:13]] == found["confusion_matrix"]


def test_objects_in_fit(tmp_path: Path) -> None:
    given: list[Any] = [Errors(2.0), F1("micro"), "balanced_accuracy", {"kind": "top_k", "k": 1}]
    fitted = fit(Sequential(Flatten(), Dense(10)), DIGITS, out=tmp_path / "out", epochs=1, metrics=given)
    test = fitted.summary.test
    assert test is not None and test.accuracy is not None
    assert set(test.metrics) == {"errors", "f1_micro", "balanced_accuracy", "top_1"}
    assert test.metrics["errors"] == pytest.approx(2 * 300 * (1 - test.accuracy))
    assert test.metrics["top_1"] == test.metrics["f1_micro"] == pytest.approx(test.accuracy)


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (["f2"], r'metrics.kinds\[0\].kind is "f2" \(text\), but must be "confusion_matrix"'),
        ([{"kind": "f1", "averag": "micro"}], "did you mean 'average'"),
        ("f1", r'metrics.kinds is "f1" \(text\), but must be a list'),
        ([{"kind": "top_k", "k": 0}], r"metrics.kinds\[0\].k is 0 .*, but must be an integer of at least 1"),
    ],
)
def test_what_is_refused_before_any_work(kinds: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match=words):
        fit(Sequential(Flatten(), Dense(10)), DIGITS, out=tmp_path / "out", metrics={"kinds": kinds})


def test_what_does_not_serve_the_task(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='metrics: "r2" is not for classification; expected one of: confusion_matrix'):
        fit(Sequential(Flatten(), Dense(10)), DIGITS, out=tmp_path / "out", metrics=["r2"])
