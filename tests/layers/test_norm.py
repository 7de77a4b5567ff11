"""Batch norm as a layer: training, prediction, names, and PyTorch as an oracle."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

from distnn import graph
from distnn.data.loader import Loader
from distnn.errors import ShapeError
from distnn.graph import N
from distnn.layers import BatchNorm, Dense, Flatten, Sequential
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
    return step_of(model, Loader({"x": x, "y": y}), SGD(0.1), alone(), len(x), **options)


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


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("samples", "batch", "shards", "refused"),
    [
        (8, 4, 1, False),
        (8, 4, 2, False),
        (8, 4, 3, True),
        (8, 4, 9, True),
        (9, 4, 1, True),
        (10, 4, 1, False),
        (1, 4, 1, True),
    ],
)
def test_a_single_value_of_a_channel_is_refused_before_the_first_step(samples, batch, shards, refused, whole):
    """On one rank: whichever ranks the micro-shards go to, the answer is the same."""
    x, y = np.ones((samples, 3)), np.ones((samples, 1))
    network = Sequential(Dense(4), BatchNorm(whole=whole), Dense(1))
    model = Model(network, (3,), task="regression", target_shape=(1,))
    if whole and shards > 1:  # the smallest batch counts, whatever it is cut into
        refused = samples % batch == 1
    with pytest.raises(ShapeError, match="would have 1 of each") if refused else nullcontext():
        step_of(model, Loader({"x": x, "y": y}), SGD(0.1), alone(), batch, shards=shards)


def test_a_single_image_has_values_enough_and_a_single_pixel_has_not():
    for width in (1, 2):
        model = Model(Sequential(BatchNorm(), Flatten(), Dense(1)), (width, 1, 3), task="regression", target_shape=(1,))
        samples = Loader({"x": np.ones((4, width, 1, 3)), "y": np.ones((4, 1))})
        with pytest.raises(ShapeError, match="samples in batches of 1") if width == 1 else nullcontext():
            step_of(model, samples, SGD(0.1), alone(), 1)


def test_a_plan_of_one_sample_is_refused_for_training_alone():
    model = Model(Sequential(BatchNorm(), Dense(1)), (3,), task="regression", target_shape=(1,))
    parameters = model.initialize()
    model.prediction_plan(1, parameters).forward()
    with pytest.raises(ShapeError, match="a micro-shard would have 1 of each channel's values"):
        model.training_plan(1, parameters)


def test_running_means_are_no_parameters_of_the_optimiser():
    model = Model(Sequential(BatchNorm(), Dense(1)), (3,), task="regression", target_shape=(1,))
    parameters = model.initialize()
    assert parameters.trained == ("batchnorm1.gain", "batchnorm1.bias", "dense1.weight", "dense1.bias")
    assert parameters.count == 3 + 3 + 3 + 1
    assert set(parameters.shapes) - set(parameters.trained) == {"batchnorm1.mean", "batchnorm1.variance"}
