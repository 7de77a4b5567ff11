"""Weights and masks on several ranks: the bits of one, in training by fixed point, in evaluation, and in metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpi4py import MPI

from distnn.data import DataFile, write_data
from distnn.metrics import F1, R2, Metric
from distnn.parallel.world import World
from distnn.train.evaluate import Evaluator
from tests.support.runs import assembled, train_epoch

pytestmark = pytest.mark.mpi

TOGETHER, ALONE = World.open(MPI.COMM_WORLD), World.open(MPI.COMM_SELF)


def data(path: Path, task: str) -> Path:
    """Samples, some of them without targets, and weights of such a kind that no sum of them is exact."""
    random = np.random.default_rng(0)
    x, mask = random.normal(size=(61, 3)), random.integers(0, 2, 61)
    y = random.integers(0, 3, 61) if task == "classification" else np.where(mask[:, None], x[:, :2], np.nan)
    fields = {"x": x, "y": y, "weight": random.uniform(0, 3, y.shape), "mask": mask}
    classes = list("abc") if task == "classification" else []
    return write_data(path, {"train": fields, "test": fields}, task=task, classes=classes)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(("task", "kind"), [("classification", "softmax"), ("regression", "linear")])
def test_the_bits_of_one_rank(task: str, kind: str, in_memory: bool, tmp_path: Path) -> None:
    path = TOGETHER.comm.bcast(TOGETHER.comm.on_root(lambda: data(tmp_path / "data.h5", task)))
    sections: dict[str, Any] = {
        "data": {"path": str(path), "batch_size": 17, "in_memory": in_memory},
        "parallel": {"reproducible": True, "shards": 5},
        "model": {"kind": kind},
    }
    together, alone = (assembled(world, **sections) for world in (TOGETHER, ALONE))
    for epoch in range(2):
        found, expected = train_epoch(together, epoch), train_epoch(alone, epoch)
        np.testing.assert_array_equal(found[0], expected[0])
    assert together.parameters.fingerprint() == alone.parameters.fingerprint()
    metrics: list[Metric] = [F1()] if task == "classification" else [R2()]
    with DataFile(path) as file:
        pair = [
            Evaluator(run.model, run.parameters, file, "test", run.world, metrics=metrics) for run in (together, alone)
        ]
        sums = [evaluator.run() for evaluator in pair]
    np.testing.assert_array_equal(sums[0].vector, sums[1].vector)
    assert pair[0].values == pair[1].values
    assert np.isfinite([*pair[0].values.values(), sums[0].mean_loss]).all()
