"""With the same micro-shards, dropout and batch normalisation give the same on any number of ranks."""

from __future__ import annotations

import numpy as np
import pytest
from mpi4py import MPI

from distnn.data.loader import Loader
from distnn.layers import Dense, Residual, Sequential
from distnn.layers.regularisation import BatchNorm, Dropout
from distnn.models import Model
from distnn.optim import SGD
from distnn.parallel.world import World
from distnn.train.step import TAIL, Step


def gradients(comm, dtype):
    """The summed gradients and losses of three batches of up to 48, cut into five shards; the last batch is ragged."""
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(110, 6)), generator.normal(size=(110, 2))
    block = Residual(Sequential(Dense(8, "tanh"), Dropout(0.3), Dense(8)))
    network = Sequential(Dense(8), BatchNorm(), block, BatchNorm(), Dropout(0.2), Dense(2))
    model = Model(network, (6,), task="regression", target_shape=(2,))
    parameters = model.initialize(0, dtype, tail=TAIL, minimum=comm.size)
    loader = Loader(x.astype(dtype), y.astype(dtype))
    step = Step(model, parameters, loader, SGD(), World(comm), batch_size=48, seed=7, shards=5)
    found = []
    for window in range(3):
        step.run(window, learning_rate=0.0, number=window)
        found.append((parameters.gradients.copy(), step.loss, step.samples))
    return found


@pytest.mark.mpi
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_any_number_of_ranks_agrees(dtype, tolerance):
    together, alone = gradients(MPI.COMM_WORLD, dtype), gradients(MPI.COMM_SELF, dtype)
    assert [samples for _, _, samples in together] == [48, 48, 14]
    for (gradient, loss, samples), (expected, expected_loss, expected_samples) in zip(together, alone, strict=True):
        assert samples == expected_samples
        assert loss == pytest.approx(expected_loss, rel=tolerance)
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=tolerance * np.abs(expected).max())
