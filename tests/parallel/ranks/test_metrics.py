"""Metrics are those of all samples: the same bits on any number of ranks, and the numbers of their formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpi4py import MPI

from distnn.data import DataFile
from distnn.metrics import F1, R2, BalancedAccuracy, CalibrationError, MaximumError, Metric, RocAuc, TopK
from distnn.parallel.world import World
from distnn.session.build import Run
from distnn.train.evaluate import Evaluator, predict
from tests.support.runs import assembled, babble, blobs, line

pytestmark = pytest.mark.mpi

TOGETHER, ALONE = World.open(MPI.COMM_WORLD), World.open(MPI.COMM_SELF)


def evaluated(run: Run, file: Any, split: str, metrics: list[Metric]) -> dict[str, Any]:
    evaluator = Evaluator(run.model, run.parameters, file, split, run.world, metrics=metrics)
    evaluator.run()
    return evaluator.values


def mean_f1(y: np.ndarray, guess: np.ndarray) -> float:
    """The mean over three classes of 2 TP / (2 TP + FP + FN); 0 for one that occurs nowhere."""
    of_class = [(y == c, guess == c) for c in range(3)]
    return float(np.mean([2 * (a & b).sum() / max(a.sum() + b.sum(), 1) for a, b in of_class]))


@pytest.mark.parametrize("size", [1, 2, 333])
def test_of_a_classification(size: int, tmp_path: Path) -> None:
    path = blobs(tmp_path / "blobs.h5", {"train": 9, "test": size}, classes=3)
    metrics: list[Metric] = [F1(), BalancedAccuracy(), TopK(2), RocAuc(), CalibrationError()]
    together, alone = (assembled(world, data={"path": str(path), "batch_size": 3}) for world in (TOGETHER, ALONE))
    with DataFile(path) as file:
        found, expected = (evaluated(run, file, "test", metrics) for run in (together, alone))
        y = file.read("test")[1]
        p = predict(alone.model, alone.parameters, alone.evaluators["test"]._sources[0])
    assert found == expected
    assert set(found) == {"f1", "balanced_accuracy", "top_2", "roc_auc", "calibration_error"}
    assert found["f1"] == pytest.approx(mean_f1(y, p.argmax(1)), abs=1e-12)
    assert len(set(map(str, TOGETHER.comm.allgather(found)))) == 1


def test_of_a_regression(tmp_path: Path) -> None:
    path = line(tmp_path / "line.h5", {"train": 20, "test": 777})
    sections = {"data": {"path": str(path), "batch_size": 10}, "model": {"kind": "linear"}}
    together, alone = (assembled(world, **sections) for world in (TOGETHER, ALONE))
    metrics: list[Metric] = [R2(), MaximumError()]
    with DataFile(path) as file:
        found, expected = (evaluated(run, file, "test", metrics) for run in (together, alone))
        y = file.read("test")[1]
        p = predict(alone.model, alone.parameters, alone.evaluators["test"]._sources[0]).reshape(y.shape)
    assert found == expected, "the same bits"
    assert found["r2"] == pytest.approx(1 - np.mean(((y - p) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)), rel=1e-5)
    assert found["max_error"] == pytest.approx(np.abs(p - y).max(), rel=1e-5)


def test_of_a_text(tmp_path: Path) -> None:
    path = babble(tmp_path / f"text{TOGETHER.comm.rank}.h5", 270)
    sections: dict[str, Any] = {
        "data": {"path": str(path), "batch_size": 7, "streams": True},
        "model": {"kind": "char-lstm", "embedding": 3, "hidden": [6]},
        "parallel": {"shards": 4, "reproducible": True},
    }
    values = []
    for world in (TOGETHER, ALONE):
        run = assembled(world, **sections, metrics={"kinds": ["f1", {"kind": "top_k", "k": 1}]})
        sums = run.evaluators["validation"].run()
        values.append(run.evaluators["validation"].values)
        assert values[-1]["top_1"] == pytest.approx(sums.accuracy, abs=1e-12)
    assert values[0] == values[1]
