"""Batch norm as a layer: training, prediction, names, and PyTorch as an oracle."""

from __future__ import annotations

import numpy as np
import pytest

from distnn import graph
from distnn.data.loader import Loader
from distnn.errors import ShapeError
from distnn.graph import N
from distnn.layers import BatchNorm, Dense, Sequential
from distnn.models import Model
from distnn.optim import SGD
from distnn.train.update import FOLLOW
from tests.support.runs import alone
from tests.support.steps import step_of


def test_an_input_that_does_not_fit_is_named():
    with pytest.raises(ShapeError, match=r"BatchNorm: its input has shape \(N,\)"):
        BatchNorm()(graph.input("x", (N,)))


def regression(network, x, y, **options):
    model = Model(network, x.shape[1:], task="regression", target_shape=y.shape[1:])
    return step_of(model, Loader(x, y), SGD(0.1), alone(), len(x), **options)


def test_batch_norm_trains_and_predicts_as_torch():
    torch = pytest.importorskip("torch", reason="needs PyTorch as an oracle; cure: pip install torch==2.13.0")
    generator = np.random.default_rng(0)
    x, y = generator.normal(2, 3, size=(12, 5)), generator.normal(size=(12, 2))
    step = regression(Sequential(BatchNorm(), Dense(2)), x, y)
    values = step.parameters.value
    norm, dense = torch.nn.BatchNorm1d(5, momentum=FOLLOW).double(), torch.nn.Linear(5, 2).double()
    with torch.no_grad():
        dense.weight.copy_(torch.tensor(values["dense1.weight"].T.copy()))
        dense.bias.zero_()
    theirs = torch.optim.SGD([*norm.parameters(), *dense.parameters()], lr=0.1)
    for _ in range(5):
        result = step.run(0, 0.1)
        theirs.zero_grad()
        loss = ((dense(norm(torch.tensor(x))) - torch.tensor(y)) ** 2).sum() / 12
        loss.backward()
        theirs.step()
        np.testing.assert_allclose(result.sums.loss / 12, loss.item(), rtol=1e-10)
    np.testing.assert_allclose(values["batchnorm1.mean"], norm.running_mean, rtol=1e-10)
    np.testing.assert_allclose(values["batchnorm1.variance"], norm.running_var, rtol=1e-10)
    np.testing.assert_allclose(values["batchnorm1.gain"], norm.weight.detach(), rtol=1e-10)
    plan = step.model.prediction_plan(12, step.parameters)
    graph.bind_input(plan, "x", x)
    plan.forward()
    norm.eval()
    np.testing.assert_allclose(plan.value["prediction"], dense(norm(torch.tensor(x))).detach(), rtol=1e-9)


def test_running_means_are_those_of_the_shards_whoever_computes_them():
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(10, 3)), generator.normal(size=(10, 1))
    step = regression(Sequential(BatchNorm(), Dense(1)), x, y, shards=3)
    step.run(0, 0.1)
    shards = [x[0:4], x[4:7], x[7:10]]
    mean = sum(len(shard) * shard.mean(0) for shard in shards) / 10
    variance = sum(len(shard) * shard.var(0, ddof=1) for shard in shards) / 10
    np.testing.assert_allclose(step.parameters.value["batchnorm1.mean"], FOLLOW * mean, rtol=1e-12)
    np.testing.assert_allclose(step.parameters.value["batchnorm1.variance"], 1 - FOLLOW + FOLLOW * variance, rtol=1e-12)


def test_running_means_are_no_parameters_of_the_optimiser():
    model = Model(Sequential(BatchNorm(), Dense(1)), (3,), task="regression", target_shape=(1,))
    parameters = model.initialize()
    assert parameters.trained == ("batchnorm1.gain", "batchnorm1.bias", "dense1.weight", "dense1.bias")
    assert parameters.count == 3 + 3 + 3 + 1
    assert set(parameters.shapes) - set(parameters.trained) == {"batchnorm1.mean", "batchnorm1.variance"}
