"""Streams of text: a state belongs to its stream, so that any number of ranks computes the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpi4py import MPI

from distnn.data import DataFile
from distnn.parallel.world import World
from distnn.train.evaluate import Evaluator
from tests.support.runs import Arrays, assembled, babble, course, distance, once, train_epoch
from tests.support.thorough import in_dtypes

pytestmark = pytest.mark.mpi

TOGETHER, ALONE = World.open(MPI.COMM_WORLD), World.open(MPI.COMM_SELF)
SEVEN: dict[str, Any] = {"data": {"batch_size": 7}}
MODEL = {"kind": "char-lstm", "embedding": 3, "hidden": [6]}
CASES: dict[str, dict[str, Any]] = {
    "seven streams, three in the last step": {"data": {"batch_size": 7}},
    "two streams": {"data": {"batch_size": 2}},
    "one stream": {"data": {"batch_size": 1}},
    "five shards": {"data": {"batch_size": 7}, "parallel": {"shards": 5}},
    "three batches a step": {"data": {"batch_size": 7}, "train": {"accumulate": 3}},
    "two layers": {"data": {"batch_size": 7}, "model": {"hidden": [6, 4]}},
    "clipped": {"data": {"batch_size": 7}, "train": {"clip_norm": 0.1}},
    "two layers of GRU": {"data": {"batch_size": 7}, "model": {"cell": "gru", "hidden": [6, 4]}},
    "simple cells": {"data": {"batch_size": 7}, "model": {"cell": "rnn"}},
    "dropout": {"data": {"batch_size": 7}, "model": {"dropout": 0.3}, "parallel": {"shards": 4}},
    "sequences at random": {"data": {"batch_size": 7, "streams": False}},
}
#: Those that are done in float32 as well.
NARROW = ["three batches a step", "two layers of GRU", "dropout"]


def run(world: World, folder: Path, dtype: str, sections: dict[str, Any]) -> Any:
    path = folder / f"text{TOGETHER.comm.rank}-{id(world)}.h5"
    sections = {name: dict(section) for name, section in sections.items()}
    sections["data"] = {"streams": True} | sections.get("data", {}) | {"path": str(babble(path, 270))}
    sections["model"] = MODEL | sections.get("model", {})
    sections["train"] = {"dtype": dtype} | sections.get("train", {})
    return assembled(world, **sections)


@pytest.mark.parametrize(
    ("case", "dtype"), in_dtypes([*CASES], ["three batches a step", "two layers of GRU", "dropout"])
)
def test_any_number_of_ranks_trains_alike(case: str, dtype: str, tmp_path: Path) -> None:
    tolerance = {"float32": 1e-5, "float64": 1e-12}[dtype]
    together = run(TOGETHER, tmp_path, dtype, CASES[case])
    assert len(together.loader) == 48  # 270 characters less a tenth, in sequences of 5

    def alone() -> tuple[list[np.ndarray], Arrays, Arrays]:
        single = run(ALONE, tmp_path, dtype, CASES[case])
        return *course(single, 2), dict(single.step.carried.state)

    losses, values, expected_states = once(TOGETHER.comm, alone)
    for epoch, expected in enumerate(losses):
        found, counts = train_epoch(together, epoch)
        np.testing.assert_allclose(found, expected, rtol=tolerance)
        assert sum(counts) == 48
    assert distance(together.parameters.value, values) < tolerance
    states = together.step.carried.collect(TOGETHER.comm, together.step.batching.shards)
    assert (states is None) == (TOGETHER.comm.rank > 0)
    for name, state in (states or {}).items():
        np.testing.assert_allclose(state, expected_states[name], atol=tolerance)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_any_number_of_ranks_evaluates_alike(split: str, tmp_path: Path) -> None:
    together, alone = (run(world, tmp_path, "float64", SEVEN) for world in (TOGETHER, ALONE))
    with DataFile(together.settings.data.path) as file:
        found = Evaluator(together.model, together.parameters, file, split, TOGETHER).run()
        expected = Evaluator(alone.model, alone.parameters, file, split, ALONE).run()
        assert found.samples == expected.samples == file.count(split)
    assert found.mean_loss == pytest.approx(expected.mean_loss, rel=1e-12)
    assert found.accuracy == pytest.approx(expected.accuracy, rel=1e-12)
    assert found.bits == pytest.approx(found.mean_loss / np.log(2), rel=1e-12)
