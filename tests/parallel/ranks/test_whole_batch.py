"""Batch norm over whole mini-batches gives the same on any number of ranks."""

from __future__ import annotations

import numpy as np
import pytest
from mpi4py import MPI

from distnn.data.loader import Loader
from distnn.errors import RunFileError, ShapeError
from distnn.layers import Dense, Sequential
from distnn.layers.norm import BatchNorm
from distnn.models import Model
from distnn.optim import SGD
from distnn.parallel.world import World
from tests.support.runs import assembled
from tests.support.steps import step_of


def whole_batch(comm, dtype, batch_size, accumulate=1):
    """The summed gradients and losses of an epoch's steps, one micro-shard for each rank, and the parameters."""
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(50, 6)), generator.normal(size=(50, 2))
    network = Sequential(BatchNorm(whole=True), Dense(8, "tanh"), BatchNorm(whole=True), Dense(2))
    model = Model(network, (6,), task="regression", target_shape=(2,))
    loader = Loader({"x": x.astype(dtype), "y": y.astype(dtype)})
    step = step_of(model, loader, SGD(), World.open(comm), batch_size, dtype=dtype, accumulate=accumulate)
    found = []
    for window in range(step.windows):
        sums = step.run(window, learning_rate=0.0, number=window).sums
        found.append((step.parameters.gradients.copy(), sums.loss))
    return found, step.parameters.values


@pytest.mark.mpi
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 1e-4)])
@pytest.mark.parametrize(("batch_size", "accumulate"), [(48, 1), (8, 1), (3, 1), (8, 4), (16, 5)])
def test_whole_batch_statistics_are_those_of_one_rank(dtype, tolerance, batch_size, accumulate):
    """Also where ranks have nothing of a batch: 2 samples in the last of 48, batches of 3 on 4 ranks."""
    together, values = whole_batch(MPI.COMM_WORLD, dtype, batch_size, accumulate)
    alone, expected_values = whole_batch(MPI.COMM_SELF, dtype, batch_size, accumulate)
    for (gradient, loss), (expected, expected_loss) in zip(together, alone, strict=True):
        assert loss == pytest.approx(expected_loss, rel=tolerance)
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=tolerance * np.abs(expected).max())
    np.testing.assert_allclose(values, expected_values, rtol=tolerance, atol=tolerance)


@pytest.mark.mpi
@pytest.mark.parametrize("comm", [MPI.COMM_WORLD, MPI.COMM_SELF], ids=["together", "alone"])
def test_a_last_batch_of_one_sample_is_refused_on_any_number_of_ranks(comm):
    with pytest.raises(ShapeError, match=r"a whole batch would have 1 of each channel's values .* the last of 1, cut"):
        whole_batch(comm, np.float64, 7)


@pytest.mark.mpi
def test_whole_batch_statistics_and_more_shards_than_ranks_are_refused():
    layers = [{"kind": "dense", "units": 4}, {"kind": "batch_norm", "whole": True}, {"kind": "dense"}]
    with pytest.raises(RunFileError, match=r"one on each rank; but parallel.shards is 9 and the number of ranks \d"):
        assembled(World.open(MPI.COMM_WORLD), model={"layers": layers}, parallel={"shards": 9})
