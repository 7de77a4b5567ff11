"""Adam and AdamW against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from distnn.optim import Adam, AdamW
from tests.support.trajectory import gradients, in_torch, trajectory

OPTIONS = [{}, {"beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3}, {"weight_decay": 0.1}, {"weight_decay": 0.0}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("rule", [Adam, AdamW])
def test_twenty_steps_follow_torch(rule, options):
    torch = pytest.importorskip("torch", reason="needs PyTorch as an oracle; cure: pip install torch==2.13.0")
    start, found = gradients()
    ours = rule(0.01, **options)
    rates = np.linspace(0.02, 0.001, len(found))  # as a schedule would set it
    theirs = in_torch(
        lambda weights, others: getattr(torch.optim, rule.__name__)(
            [{"params": weights, "weight_decay": ours.weight_decay}, {"params": others, "weight_decay": 0}],
            betas=(ours.beta1, ours.beta2),
            eps=ours.epsilon,
        ),
        *(start, found, rates),
    )
    np.testing.assert_allclose(trajectory(ours, start, found, rates=rates), theirs, rtol=1e-11, atol=1e-13)


def test_defaults_are_those_of_torch():
    torch = pytest.importorskip("torch", reason="needs PyTorch as an oracle; cure: pip install torch==2.13.0")
    weight = [torch.zeros(1, requires_grad=True)]
    for ours, theirs in ((Adam(), torch.optim.Adam(weight)), (AdamW(), torch.optim.AdamW(weight))):
        found = theirs.defaults
        assert (ours.learning_rate, ours.weight_decay) == (found["lr"], found["weight_decay"])
        assert (ours.beta1, ours.beta2, ours.epsilon) == (*found["betas"], found["eps"])


@pytest.mark.parametrize("step", [0, 999])
def test_a_constant_gradient_moves_every_element_by_the_learning_rate(step):
    """With g constant m̂ = g and v̂ = g², so that r = ±1 at every step: Kingma and Ba, section 2.1."""
    values, gradient = np.zeros(3), np.array([1e-3, -5.0, 200.0])
    kept = 1 - np.array([Adam().beta1, Adam().beta2]) ** step
    slots = {"first_moment": kept[0] * gradient, "second_moment": kept[1] * gradient**2}
    Adam(0.1).bind(values, gradient.copy(), slots, {})(1.0, 0.1, step)
    np.testing.assert_allclose(values, [-0.1, 0.1, -0.1], rtol=1e-4)
