"""An infinite number or NaN on any rank is seen by all: the step updates nothing anywhere, and its maker is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpi4py import MPI

from distnn.data import write_data
from distnn.errors import DistnnError
from distnn.parallel.world import World
from distnn.session.build import Run
from distnn.session.records import Listener, StepRecord
from distnn.session.run import train
from tests.support.runs import settings

pytestmark = pytest.mark.mpi
WORLD = World.open(MPI.COMM_WORLD)
WAYS: dict[str, dict[str, Any]] = {
    "node": {"shards": 4},
    "allreduce": {"shards": 4, "reduction": "allreduce"},
    "buckets": {"shards": 4, "reduction": "allreduce", "bucket_mb": 1e-5},
    "reproducible": {"shards": 4, "reproducible": True},
}
#: The sample that overflows is in the second of five steps, in the third of four micro-shards.
BATCH, SAMPLES, BAD = 12, 60, 12 + 7


class Ear(Listener):
    interval = 0.0

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.steps: list[int] = []

    def stepped(self, record: StepRecord) -> None:
        self.steps.append(record.step)

    def warned(self, text: str) -> None:
        self.warnings.append(text)


def trained(folder: Path, way: str, on_nan: str, x: np.ndarray) -> tuple[Run, Ear]:
    """A linear regression of y = 0, step by step in the file's order, and what rank 0 heard."""
    folder = Path(WORLD.comm.bcast(str(folder)))
    path = folder / f"{len(x)} samples.h5"
    if WORLD.comm.root:
        write_data(path, {"train": (x, np.zeros((len(x), 1)))}, task="regression")
    WORLD.comm.barrier()
    chosen = settings(
        model={"kind": "linear"},
        data={"path": str(path), "batch_size": BATCH, "shuffle": False},
        train={"epochs": 1, "on_nan": on_nan, "dtype": "float64"},
        optimizer={"learning_rate": 0.05, "momentum": 0.9},
        parallel=WAYS[way],
    )
    ear = Ear()
    _, run = train(
        chosen, out=folder / f"{way} {on_nan} {len(x)}", world=WORLD, listener=ear if WORLD.comm.root else None
    )
    return run, ear


def samples(value: float) -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(SAMPLES, 3))
    x[BAD, 1] = value
    return x


@pytest.mark.parametrize("way", WAYS)
def test_a_skipped_step_updates_nothing(way: str, tmp_path: Path) -> None:
    with np.errstate(all="ignore"):
        run, ear = trained(tmp_path, way, "skip", samples(1e300))
    good = samples(0.0)
    expected, _ = trained(tmp_path, way, "stop", np.delete(good, slice(BATCH, 2 * BATCH), axis=0))
    for name, value in expected.parameters.value.items():
        np.testing.assert_allclose(run.parameters.value[name], value, rtol=1e-12)
    if WORLD.comm.root:
        assert ear.steps == [1, 3, 4, 5], "a skipped step has no loss"
        (text,) = [each for each in ear.warnings if each.startswith("the loss ")]  # another is about the samples
        assert text.startswith("the loss is infinite or NaN at step 2 (epoch 1, learning rate 0.05), first made by ")
        assert "in micro-shard 2, on rank " in text
        assert text.endswith(": this step updates nothing.")


@pytest.mark.parametrize("way", WAYS)
def test_it_ends_the_run_on_every_rank(way: str, tmp_path: Path) -> None:
    with (
        pytest.raises(DistnnError, match="the loss is infinite or NaN at step 2 .*, first made by") as error,
        np.errstate(all="ignore"),
    ):
        trained(tmp_path, way, "stop", samples(1e300))
    assert "in micro-shard 2, on rank " in str(error.value)
    assert len(set(WORLD.comm.allgather(str(error.value)))) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_gradient_alone(way: str, tmp_path: Path) -> None:
    """(w x)² is 4e306 for w x = 2e153, but its gradient, 2 w x², is infinite."""
    with pytest.raises(DistnnError) as error, np.errstate(all="ignore"):
        trained(tmp_path, way, "stop", samples(1e160))
    assert len(set(WORLD.comm.allgather(str(error.value)))) == 1


def test_skipping_comes_to_an_end(tmp_path: Path) -> None:
    x = np.full((20 * BATCH, 3), 1e300)
    with (
        pytest.raises(DistnnError, match="at step 11 .* as in the 10 steps before it: the training"),
        np.errstate(all="ignore"),
    ):
        trained(tmp_path, "node", "skip", x)
