"""LARS and LAMB against a plain reading of their papers' algorithms, layer by layer."""

from __future__ import annotations

import numpy as np
import pytest

from distnn.optim import LAMB, LARS
from distnn.optim.optimizer import BLOCK
from tests.support.trajectory import SEGMENTS, gradients, trajectory


def length_of(vector):
    return np.sqrt(np.sum(vector**2))


def lars(start, found, rates, segments, *, eta, beta, m):
    """You, Gitman and Ginsburg 2017, algorithm 1; biases and gains take the plain step with momentum."""
    weights = {name: start[where].copy() for name, where in segments.items()}
    velocities = {name: np.zeros_like(weight) for name, weight in weights.items()}
    for gamma, gradient in zip(rates, found, strict=True):
        for name, where in segments.items():
            w, g = weights[name], gradient[where]
            local, decay = 1.0, 0.0
            if name.endswith("weight"):
                decay = beta
                local = eta * length_of(w) / (length_of(g) + beta * length_of(w))
            velocities[name] = m * velocities[name] + gamma * local * (g + decay * w)
            weights[name] = w - velocities[name]
    return weights


def lamb(start, found, rates, segments, *, beta1, beta2, epsilon, decay):
    """You et al. 2020, algorithm 2 with φ(z) = z; biases and gains take the ratio 1 and do not decay."""
    weights = {name: start[where].copy() for name, where in segments.items()}
    m = {name: np.zeros_like(weight) for name, weight in weights.items()}
    v = {name: np.zeros_like(weight) for name, weight in weights.items()}
    for t, (eta, gradient) in enumerate(zip(rates, found, strict=True), 1):
        for name, where in segments.items():
            x, g = weights[name], gradient[where]
            m[name] = beta1 * m[name] + (1 - beta1) * g
            v[name] = beta2 * v[name] + (1 - beta2) * g**2
            ratio = (m[name] / (1 - beta1**t)) / (np.sqrt(v[name] / (1 - beta2**t)) + epsilon)
            if name.endswith("weight"):
                step = ratio + decay * x
                weights[name] = x - eta * length_of(x) / length_of(step) * step
            else:
                weights[name] = x - eta * ratio
    return weights


def compare(ours, theirs, segments):
    for name, where in segments.items():
        np.testing.assert_allclose(ours[where], theirs[name], rtol=1e-10, atol=1e-13, err_msg=name)


BIG = {"a.weight": slice(0, 2 * BLOCK + 17), "a.bias": slice(2 * BLOCK + 32, 2 * BLOCK + 40)}


@pytest.mark.parametrize(("segments", "steps"), [(SEGMENTS, 20), (BIG, 2)], ids=["small", "of several blocks"])
@pytest.mark.parametrize(("momentum", "decay", "trust"), [(0.9, 0.0005, 0.001), (0.0, 0.1, 0.5)])
def test_lars_follows_the_paper(segments, steps, momentum, decay, trust):
    start, found = gradients(steps, 96 if segments is SEGMENTS else BIG["a.bias"].stop)
    rates = np.linspace(1.0, 0.1, steps)
    ours = trajectory(LARS(1.0, momentum, decay, trust), start, found, segments, rates=rates)
    compare(ours, lars(start, found, rates, segments, eta=trust, beta=decay, m=momentum), segments)


@pytest.mark.parametrize(("segments", "steps"), [(SEGMENTS, 20), (BIG, 2)], ids=["small", "of several blocks"])
@pytest.mark.parametrize("options", [(0.9, 0.999, 1e-6, 0.01), (0.5, 0.9, 1e-3, 0.0)], ids=str)
def test_lamb_follows_the_paper(segments, steps, options):
    start, found = gradients(steps, 96 if segments is SEGMENTS else BIG["a.bias"].stop)
    rates = np.linspace(0.02, 0.001, steps)
    ours = trajectory(LAMB(0.01, *options), start, found, segments, rates=rates)
    names = ("beta1", "beta2", "epsilon", "decay")
    compare(ours, lamb(start, found, rates, segments, **dict(zip(names, options, strict=True))), segments)


@pytest.mark.parametrize("rule", [LARS, LAMB])
def test_weights_that_begin_at_zero_move_all_the_same(rule):
    start, found = gradients(3)
    values = trajectory(rule(0.01), np.zeros_like(start), found)
    assert np.isfinite(values).all()
    assert values[SEGMENTS["dense1.weight"]].all()


@pytest.mark.parametrize("rule", [LARS, LAMB])
def test_without_a_gradient_nothing_turns_into_nan(rule):
    start, found = gradients(2)
    assert np.isfinite(trajectory(rule(), start, np.zeros_like(found))).all()
