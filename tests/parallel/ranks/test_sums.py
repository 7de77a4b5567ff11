"""A model's further sums ride in the reduction's tail: on any number of ranks what one rank sums."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from distnn.data import DataFile, write_data
from distnn.data.loader import Loader
from distnn.graph import functions
from distnn.graph.node import Node
from distnn.layers import Dense
from distnn.models import Model
from distnn.optim import SGD
from distnn.parallel.memory import NodeMemory
from distnn.parallel.world import World
from distnn.train.evaluate import Evaluator
from distnn.train.step import Step, StepResult
from tests.support.steps import step_of

pytestmark = pytest.mark.mpi

TOGETHER, ALONE = World.open(MPI.COMM_WORLD), World.open(MPI.COMM_SELF)
SAMPLES, BATCH, RATE = 70, 24, 1e-3


def further(output: Node, target: Node) -> Mapping[str, Node]:
    """Of each output Σ (p − t)², Σ t and Σ t², from which R² follows; and Σ of all outputs."""
    error = output - target
    return {
        "squared errors": functions.sum(error * error, axis=0),
        "targets": functions.sum(target, axis=0),
        "squared targets": functions.sum(target * target, axis=0),
        "outputs": functions.sum(output),
    }


def samples() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.normal(size=(SAMPLES, 4))
    return x, x @ random.normal(size=(4, 3)) * [1.0, 1e3, 1e-3] + 0.5


def model() -> Model:
    return Model(Dense(3), (4,), task="regression", target_shape=(3,), further=further)


def step(world: World, *, reproducible: bool, shared: bool = True) -> Step:
    memory = NodeMemory(world.comm) if shared and world.comm.size > 1 else None
    options = {"memory": memory, "shards": 5, "accumulate": 2, "reproducible": reproducible}
    return step_of(model(), Loader(dict(zip("xy", samples(), strict=True))), SGD(RATE), world, BATCH // 2, **options)


def trained(found: Step) -> list[StepResult]:
    return [found.run(number % found.windows, RATE, number=number) for number in range(6)]


@pytest.mark.parametrize("shared", [False, True], ids=["by Allreduce", "by nodes"])
@pytest.mark.parametrize("reproducible", [False, True], ids=["plain", "reproducible"])
def test_every_step_sums_what_one_rank_does(*, reproducible: bool, shared: bool) -> None:
    together = trained(step(TOGETHER, reproducible=reproducible, shared=shared))
    alone = trained(step(ALONE, reproducible=reproducible))
    for found, expected in zip(together, alone, strict=True):
        assert not found.bad
        if reproducible:
            np.testing.assert_array_equal(found.sums.vector, expected.sums.vector, err_msg="the same bits")
        else:
            np.testing.assert_allclose(found.sums.vector, expected.sums.vector, rtol=1e-12)
        assert found.sums["targets"].shape == (3,)
        assert found.sums["outputs"].shape == (1,)
        assert len(set(TOGETHER.comm.allgather(found.sums.vector.tobytes()))) == 1


@pytest.mark.parametrize("reproducible", [False, True], ids=["plain", "reproducible"])
def test_they_are_those_of_numpy(*, reproducible: bool) -> None:
    """R² of an epoch: 1 − Σ e² / (Σ t² − (Σ t)² / n), in which a learning rate of 0 keeps the parameters."""
    found = step(TOGETHER, reproducible=reproducible)
    total = found.model.layout.zeros()
    for window in range(found.windows):
        total += found.run(window, 0.0, number=window).sums
    x, y = samples()
    values = found.parameters.value
    e = x @ values["dense1.weight"] + values["dense1.bias"] - y
    assert (total.samples, total.count) == (SAMPLES, SAMPLES)
    tolerance = {"rtol": 1e-12}
    np.testing.assert_allclose(total["squared errors"], (e**2).sum(0), **tolerance)
    np.testing.assert_allclose(total["outputs"], (e + y).sum(), rtol=1e-9)
    np.testing.assert_allclose(total.loss, (e**2).sum(), **tolerance)
    spread = total["squared targets"] - total["targets"] ** 2 / total.samples
    np.testing.assert_allclose(
        1 - total["squared errors"] / spread, 1 - (e**2).sum(0) / ((y - y.mean(0)) ** 2).sum(0), rtol=1e-9, atol=1e-9
    )


def test_one_that_is_not_finite_is_no_reason_to_stop() -> None:
    """ln t of a negative target is NaN, in one of the micro-shards; the other sums, and the update, don't care."""

    def logarithms(output: Node, target: Node) -> Mapping[str, Node]:
        return {"logarithms": functions.sum(functions.log(target)), "targets": functions.sum(target)}

    x, y = np.ones((10, 2)), np.arange(1.0, 11.0)[:, None]
    y[7] = -1.0
    one = Model(Dense(1), (2,), task="regression", target_shape=(1,), further=logarithms)
    with np.errstate(invalid="ignore"):
        for reproducible in (False, True):
            found = step_of(one, Loader({"x": x, "y": y}), SGD(0.01), TOGETHER, 10, shards=5, reproducible=reproducible)
            result = found.run(0, 0.01)
            assert not result.bad
            assert np.isnan(result.sums["logarithms"])
            assert result.sums["targets"] == y.sum()
            assert found.parameters.value["dense1.weight"].any()


def test_an_evaluation_sums_them_too(tmp_path: Path) -> None:
    path = TOGETHER.comm.bcast(str(tmp_path / "data.h5"))
    if TOGETHER.comm.root:
        write_data(path, {"train": samples(), "test": samples()}, task="regression")
    TOGETHER.comm.barrier()
    parameters, (x, y) = model().initialize(0, np.float64), samples()
    results = []
    for world in (TOGETHER, ALONE):
        with DataFile(path) as file:
            results.append(Evaluator(model(), parameters, file, "test", world).run())
    np.testing.assert_array_equal(results[0].vector, results[1].vector)
    e = x @ parameters.value["dense1.weight"] + parameters.value["dense1.bias"] - y
    np.testing.assert_allclose(results[0]["squared errors"], (e**2).sum(0), rtol=1e-12)
