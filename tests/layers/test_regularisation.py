"""Dropout and batch normalisation as layers: training, prediction, names, and PyTorch as an oracle."""

from __future__ import annotations

import numpy as np
import pytest

from distnn import graph
from distnn.data.loader import Loader
from distnn.errors import ShapeError, UsageError
from distnn.graph import N, Plan
from distnn.layers import Dense, Residual, Sequential, name_parameters
from distnn.layers.regularisation import BatchNorm, Dropout
from distnn.models import Model
from distnn.optim import SGD
from distnn.train.step import FOLLOW, TAIL, Step
from tests.support.runs import alone


def dropped(key, rate=0.3, length=20_000, layers=1):
    x = graph.input("x", (N, length))
    output = Sequential(*(Dropout(rate) for _ in range(layers)))(x)
    name_parameters([output])
    loss = graph.sum(output)
    plan = Plan({"y": output}, batch=1, loss=loss, wrt=[x])
    graph.bind_input(plan, "x", np.ones((1, length)))
    graph.bind_input(plan, "key", np.array(key))
    plan.forward()
    plan.backward()
    return plan.value["y"].copy(), plan.gradient["x"].copy()


def test_dropout_zeroes_its_share_and_scales_the_rest():
    y, dx = dropped([0, 0, 0])
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}
    assert abs((y == 0).mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / y.size)
    np.testing.assert_array_equal(dx, y)


def test_masks_follow_from_seed_step_shard_and_name_alone():
    first, _ = dropped([1, 2, 3])
    np.testing.assert_array_equal(dropped([1, 2, 3])[0], first)
    for other in ([0, 2, 3], [1, 0, 3], [1, 2, 0]):
        assert (dropped(other)[0] != first).mean() > 0.3
    both, _ = dropped([1, 2, 3], layers=2)
    assert abs((both == 0).mean() - (1 - 0.7**2)) < 0.02  # the second layer's mask is another one


def test_a_forward_only_plan_drops_nothing_and_needs_no_key():
    x = graph.input("x", (N, 4))
    plan = Plan({"y": Dropout(0.9)(x)}, batch=2)
    graph.bind_input(plan, "x", np.arange(8.0).reshape(2, 4))
    plan.forward()
    np.testing.assert_array_equal(plan.value["y"], np.arange(8.0).reshape(2, 4))
    assert "key" not in plan.value


def test_rates_and_shapes_that_do_not_fit_are_named():
    with pytest.raises(UsageError, match="the rate is 1; expected a number from 0 to below 1"):
        Dropout(1)
    with pytest.raises(ShapeError, match=r"BatchNorm: its input has shape \(N,\)"):
        BatchNorm()(graph.input("x", (N,)))
    with pytest.raises(ShapeError, match=r"turns \(N, 3\) into \(N, 2\), but the shortcut gives \(N, 3\)"):
        Residual(Dense(2))(graph.input("x", (N, 3)))


def step_of(network, x, y, **options):
    model = Model(network, x.shape[1:], task="regression", target_shape=y.shape[1:])
    parameters = model.initialize(0, np.float64, tail=TAIL)
    return Step(model, parameters, Loader(x, y), SGD(0.1), alone(), batch_size=len(x), **options)


def test_batch_norm_trains_and_predicts_as_torch():
    torch = pytest.importorskip("torch", reason="needs PyTorch as an oracle; cure: pip install torch==2.13.0")
    generator = np.random.default_rng(0)
    x, y = generator.normal(2, 3, size=(12, 5)), generator.normal(size=(12, 2))
    step = step_of(Sequential(BatchNorm(), Dense(2)), x, y)
    values = step.parameters.value
    norm, dense = torch.nn.BatchNorm1d(5, momentum=FOLLOW).double(), torch.nn.Linear(5, 2).double()
    with torch.no_grad():
        dense.weight.copy_(torch.tensor(values["dense1.weight"].T.copy()))
        dense.bias.zero_()
    theirs = torch.optim.SGD([*norm.parameters(), *dense.parameters()], lr=0.1)
    for _ in range(5):
        step.run(0, 0.1)
        theirs.zero_grad()
        loss = ((dense(norm(torch.tensor(x))) - torch.tensor(y)) ** 2).sum() / 12
        loss.backward()
        theirs.step()
        np.testing.assert_allclose(step.loss / 12, loss.item(), rtol=1e-10)
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
    step = step_of(Sequential(BatchNorm(), Dense(1)), x, y, shards=3)
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
