"""Sums in fixed point on several ranks: the bits of one rank, and what happens to numbers that don't fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpi4py import MPI

from distnn.data import write_data
from distnn.errors import DistnnError, RunFileError
from distnn.parallel.world import World
from distnn.session.build import Run
from distnn.train.accumulate import diagnose
from tests.support.runs import assembled, distance, train_epoch

pytestmark = pytest.mark.mpi

TOGETHER, ALONE = World.open(MPI.COMM_WORLD), World.open(MPI.COMM_SELF)
EXACT = {"reproducible": True, "shards": 5}


def regression(path: Path, factors: list[float]) -> Path:
    """Twelve samples for each factor, by which x is multiplied."""
    random = np.random.default_rng(0)
    x = random.normal(0, 1, (12 * len(factors), 3)) * np.repeat(factors, 12)[:, None]
    return write_data(path, {"train": (x, x @ [1.0, -2.0, 0.5])}, task="regression")


def runs(path: Path, *worlds: World, **sections: Any) -> list[Run]:
    """The same run in each world: in the file's order, twelve samples a step."""
    data = {"path": str(path), "batch_size": 12, "shuffle": False}
    sections = {"model": {"kind": "linear"}, "optimizer": {"learning_rate": 1e-12}} | sections
    return [assembled(world, data=data, parallel=EXACT, **sections) for world in worlds]


def test_the_bits_of_one_rank(tmp_path: Path) -> None:
    path = regression(tmp_path / "data.h5", [1, 2, 1, 0.5, 1])
    together, alone = runs(path, TOGETHER, ALONE, optimizer={"learning_rate": 0.05, "momentum": 0.9})
    for epoch in range(3):
        found, expected = train_epoch(together, epoch), train_epoch(alone, epoch)
        np.testing.assert_array_equal(found[0], expected[0])
    assert together.parameters.fingerprint() == alone.parameters.fingerprint()
    assert together.step.reduction.gradients.exponents == alone.step.reduction.gradients.exponents
    names = {"dense1.weight", "dense1.bias", "loss", "weight of the loss"}
    assert together.step.reduction.gradients.exponents.keys() == names


def counted(run: Run) -> list[int]:
    """Counts, from now on, how often this rank fills a plan's input."""
    calls = [0]
    fill = run.loader.fill

    def counting(*args: Any) -> None:
        calls[0] += 1
        fill(*args)

    run.loader.fill = counting  # type: ignore[method-assign]
    return calls


def test_a_step_that_exceeds_the_unit_is_computed_again_and_nothing_wraps(tmp_path: Path) -> None:
    path = regression(tmp_path / "data.h5", [1, 1e5, 1, 1e-5])
    together, alone = runs(path, TOGETHER, ALONE)
    floating = assembled(
        ALONE,
        model={"kind": "linear"},
        optimizer={"learning_rate": 1e-12},
        data={"path": str(path), "batch_size": 12, "shuffle": False},
        train={"dtype": "float64"},
    )
    calls = counted(alone)
    found, expected = train_epoch(together)[0], train_epoch(alone)[0]
    np.testing.assert_array_equal(found, expected)
    assert together.parameters.fingerprint() == alone.parameters.fingerprint()
    assert calls[0] == 5 * (4 + 2), "the first step, for want of a unit, and the second, 1e5 times as large"
    np.testing.assert_allclose(expected, train_epoch(floating)[0], rtol=1e-5)
    assert distance(alone.parameters.value, floating.parameters.value) < 1e-6


def huge(path: Path, count: int) -> Path:
    """Samples of one class at the end of float32."""
    x = np.full((count, 1), 3e38, np.float32)
    return write_data(path, {"train": (x, np.zeros(count, int))}, task="classification", classes=["a", "b"])


def overflowing(path: Path, count: int) -> Run:
    """A run whose first step has gradients of 3e38 for each sample: of four in a shard the sum is infinite."""
    data = {"path": str(huge(path, count)), "batch_size": count}
    run = assembled(TOGETHER, model={"kind": "logistic"}, data=data, parallel=EXACT)
    weight = run.parameters.value["dense1.weight"]
    TOGETHER.comm.barrier()
    weight[:] = 1e-4  # so that p(b) of a sample is about 1
    TOGETHER.comm.barrier()
    return run


def test_gradients_that_overflow_update_nothing(tmp_path: Path) -> None:
    run = overflowing(tmp_path / "data.h5", 20)
    before = run.parameters.fingerprint()
    TOGETHER.comm.barrier()
    run.loader.begin(0, 0)
    result = run.step.run(0, 0.1)
    assert result.bad
    assert np.isfinite(result.sums.loss)
    assert run.parameters.fingerprint() == before
    text = diagnose(run.step.accumulation, 0)
    assert text.startswith("affine dense1 backward, in micro-shard 0, on rank 0 (host ")
    assert len(set(TOGETHER.comm.allgather(text))) == 1


def test_a_sum_that_overflows_is_told_on_every_rank(tmp_path: Path) -> None:
    run = overflowing(tmp_path / "data.h5", 5)
    with pytest.raises(DistnnError, match="the sum of the gradients of dense1.weight is too large") as error:
        train_epoch(run)
    assert len(set(TOGETHER.comm.allgather(str(error.value)))) == 1


def test_batch_norm_over_the_whole_batch_is_refused(tmp_path: Path) -> None:
    layers = [{"kind": "dense", "units": 4}, {"kind": "batch_norm", "whole": True}, {"kind": "dense"}]
    with pytest.raises(RunFileError, match=r"whole = true.*depend on their number"):
        assembled(TOGETHER, model={"layers": layers}, parallel=EXACT)
