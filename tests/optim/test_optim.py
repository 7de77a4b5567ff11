"""Optimisers against PyTorch, schedules against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from distnn.errors import UsageError
from distnn.optim import SGD, Schedule
from distnn.optim.sgd import BLOCK


def trajectory(optimizer, gradients, start, decay, scale=0.25):
    values = start.copy()
    slots = {name: np.zeros_like(values) for name in optimizer.slots}
    summed = np.empty_like(values)
    update = optimizer.bind(values, summed, slots, decay)
    for gradient in gradients:
        summed[:] = gradient / scale
        update(scale, optimizer.learning_rate)
    return values


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_twenty_steps_follow_torch(momentum, nesterov, weight_decay):
    torch = pytest.importorskip("torch", reason="needs PyTorch as an oracle; cure: pip install torch==2.13.0")
    if nesterov and not momentum:
        return
    generator = np.random.default_rng(0)
    start, gradients = generator.normal(size=50), generator.normal(size=(20, 50))
    ours = SGD(0.1, momentum, nesterov, weight_decay)
    decay = np.full(50, weight_decay) if weight_decay else None
    weight = torch.tensor(start.copy(), requires_grad=True)
    theirs = torch.optim.SGD([weight], lr=0.1, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)
    for gradient in gradients:
        weight.grad = torch.tensor(gradient.copy())
        theirs.step()
    np.testing.assert_allclose(trajectory(ours, gradients, start, decay), weight.detach().numpy(), rtol=1e-12)


def test_momentum_on_a_parabola_has_the_roots_of_its_recurrence():
    """With g = w, w_t obeys w_{t+1} = (1 + μ − α) w_t − μ w_{t−1}; its closed form is an independent oracle."""
    rate, momentum, steps = 0.1, 0.5, 25
    w, slots, gradient = np.array([1.0]), {"velocity": np.zeros(1)}, np.zeros(1)
    update = SGD(rate, momentum).bind(w, gradient, slots, None)
    for _ in range(steps):
        gradient[:] = w
        update(1.0, rate)
    r1, r2 = np.roots([1, -(1 + momentum - rate), momentum])
    c = np.linalg.solve([[1, 1], [r1, r2]], [1, 1 - rate])
    assert w[0] == pytest.approx((c[0] * r1**steps + c[1] * r2**steps).real, rel=1e-12)


def test_slices_and_blocks_give_what_the_whole_gives():
    generator = np.random.default_rng(1)
    length = 2 * BLOCK + 17
    start, gradients = generator.normal(size=length), generator.normal(size=(3, length))
    optimizer = SGD(0.1, 0.9, True, 0.01)
    decay = np.full(length, 0.01)
    whole = trajectory(optimizer, gradients, start, decay)
    cut = length // 3
    parts = [
        trajectory(optimizer, gradients[:, part], start[part], decay[part]) for part in (slice(cut), slice(cut, None))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_only_weights_decay():
    optimizer = SGD(weight_decay=0.1)
    assert optimizer.decays("dense1.weight") == 0.1
    assert optimizer.decays("dense1.bias") == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"learning_rate": 0}, "learning_rate is 0; expected a number above 0"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"momentum": 1.0}, "momentum is 1.0; expected a number from 0 to below 1"),
        ({"weight_decay": -1}, "weight_decay is -1; expected 0 or more"),
        ({"nesterov": True}, "nesterov = true needs a momentum"),
    ],
)
def test_values_out_of_range_are_refused(options, text):
    with pytest.raises(UsageError, match=text):
        SGD(**options)


def test_schedules():
    assert [Schedule()(step) for step in (0, 10**6)] == [1, 1]
    step = Schedule("step", every_steps=10, factor=0.5)
    assert [step(k) for k in (0, 9, 10, 19, 20)] == [1, 1, 0.5, 0.5, 0.25]
    cosine = Schedule("cosine", total_steps=100, final=0.2)
    assert cosine(0) == 1
    assert cosine(50) == pytest.approx(0.6)
    assert cosine(100) == cosine(150) == pytest.approx(0.2)
    assert all(cosine(k) > cosine(k + 1) for k in range(100))
    warm = Schedule("cosine", total_steps=100, warmup_steps=4)
    assert [warm(k) for k in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert warm(4) == 1
    assert warm(52) == pytest.approx(0.5)


def test_a_schedule_names_what_it_lacks():
    with pytest.raises(UsageError, match=r"unknown schedule 'cosin' \(did you mean 'cosine'\?\)"):
        Schedule("cosin")
    with pytest.raises(UsageError, match="every_steps must be at least 1"):
        Schedule("step")
    with pytest.raises(UsageError, match="total_steps must be at least 1"):
        Schedule("cosine")
