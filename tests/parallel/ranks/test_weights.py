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
from tests.support.runs import assembled, once, train_epoch

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
    metrics: list[Metric] = [F1()] if task == "classification" else [R2()]

    def trained(world: World) -> tuple[list[Any], str, list[float], dict[str, Any]]:
        """The losses, the parameters' fingerprint, the sums of an evaluation, and the metrics."""
        run = assembled(world, **sections)
        losses = [train_epoch(run, epoch)[0].tolist() for epoch in range(2)]
        with DataFile(path) as file:
            evaluator = Evaluator(run.model, run.parameters, file, "test", world, metrics=metrics)
            sums = evaluator.run()
        return losses, run.parameters.fingerprint(), [*sums.vector, sums.mean_loss], evaluator.values

    found = trained(TOGETHER)
    assert found == once(TOGETHER.comm, lambda: trained(ALONE))
    assert np.isfinite([*found[2], *found[3].values()]).all()
