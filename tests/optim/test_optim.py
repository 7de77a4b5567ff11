"""What all optimisers share, gradient descent against PyTorch, schedules against their definitions."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from distnn.errors import UsageError
from distnn.optim import LAMB, LARS, SGD, Adam, AdamW, Constant, Cosine, Optimizer, StepDecay
from distnn.optim.optimizer import BLOCK
from tests.support.trajectory import LENGTH, SEGMENTS, gradients, in_torch, trajectory


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_twenty_steps_follow_torch(momentum, nesterov, weight_decay):
    torch = pytest.importorskip("torch", reason="needs PyTorch as an oracle; cure: pip install torch==2.13.0")
    if nesterov and not momentum:
        return
    start, found = gradients()
    options = {"lr": 0.1, "momentum": momentum, "nesterov": nesterov}
    theirs = in_torch(
        lambda weights, others: torch.optim.SGD(
            [{"params": weights, "weight_decay": weight_decay}, {"params": others}], **options
        ),
        *(start, found),
    )
    ours = trajectory(SGD(0.1, momentum, nesterov, weight_decay), start, found)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_momentum_on_a_parabola_has_the_roots_of_its_recurrence():
    """With g = w, w_t obeys w_{t+1} = (1 + μ − α) w_t − μ w_{t−1}; its closed form is an independent oracle."""
    rate, momentum, steps = 0.1, 0.5, 25
    w, slots, gradient = np.array([1.0]), {"velocity": np.zeros(1)}, np.zeros(1)
    update = SGD(rate, momentum).bind(w, gradient, slots, {})
    for step in range(steps):
        gradient[:] = w
        update(1.0, rate, step)
    r1, r2 = np.roots([1, -(1 + momentum - rate), momentum])
    c = np.linalg.solve([[1, 1], [r1, r2]], [1, 1 - rate])
    assert w[0] == pytest.approx((c[0] * r1**steps + c[1] * r2**steps).real, rel=1e-12)


@pytest.mark.parametrize("optimizer", [SGD(0.1, 0.9, True, 0.01), Adam(weight_decay=0.01), AdamW()], ids=str)
def test_slices_and_blocks_give_what_the_whole_gives(optimizer):
    length = 2 * BLOCK + 17
    start, found = gradients(3, length)
    whole = trajectory(optimizer, start, found, {"weight": slice(0, length)})
    cut = length // 3
    parts = [
        trajectory(optimizer, start[part], found[:, part], {"weight": slice(0, len(start[part]))})
        for part in (slice(cut), slice(cut, None))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("optimizer", [rule() for rule in Optimizer.family.kinds.values()], ids=str)
def test_nothing_between_the_parameters_is_touched(optimizer):
    start, found = gradients()
    values = trajectory(optimizer, start, found)
    between = np.ones(LENGTH, bool)
    for where in SEGMENTS.values():
        between[where] = False
        assert (values[where] != start[where]).all()
    assert not values[between].any()


@pytest.mark.parametrize("optimizer", [rule() for rule in Optimizer.family.kinds.values()], ids=str)
def test_float32_stays_near_float64(optimizer):
    start, found = gradients()
    single = trajectory(optimizer, start, found, dtype=np.float32)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, trajectory(optimizer, start, found), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("optimizer", [rule() for rule in Optimizer.family.kinds.values()], ids=str)
def test_an_update_allocates_no_array(optimizer):
    length = 3 * BLOCK
    values, summed = np.ones(length, np.float32), np.ones(length, np.float32)
    slots = {name: np.zeros_like(values) for name in optimizer.slots}
    update = optimizer.bind(
        values, summed, slots, {"a.weight": slice(0, length - 64), "a.bias": slice(length - 64, length)}
    )
    update(0.5, 0.1, 0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for step in range(1, 4):
            update(0.5, 0.1, step)
        growth = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert growth < 16 * 1024


def test_only_weights_decay():
    optimizer = SGD(weight_decay=0.1)
    assert optimizer.decays("dense1.weight") == optimizer.decays("lstm1.weight_recurrent") == 0.1
    assert optimizer.decays("dense1.bias") == optimizer.decays("norm1.gain") == 0


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: SGD(learning_rate=0), "SGD: learning_rate is 0; expected a finite number above 0"),
        (lambda: SGD(learning_rate=math.nan), "learning_rate is nan"),
        (lambda: SGD(momentum=1.0), "momentum is 1.0; expected a number of at least 0 and below 1"),
        (lambda: SGD(weight_decay=-1), "weight_decay is -1; expected a finite number of at least 0"),
        (lambda: SGD(nesterov=True), "SGD: nesterov is true, which needs a momentum"),
        (lambda: Adam(beta1=1), "Adam: beta1 is 1; expected a number of at least 0 and below 1"),
        (lambda: AdamW(beta2=-0.1), "AdamW: beta2 is -0.1; expected a number of at least 0 and below 1"),
        (lambda: LAMB(epsilon=0), "LAMB: epsilon is 0; expected a finite number above 0"),
        (lambda: LARS(trust=0), "LARS: trust is 0; expected a finite number above 0"),
        (lambda: LARS(weight_decay=math.nan), "LARS: weight_decay is nan; expected a finite number of at least 0"),
    ],
)
def test_values_out_of_range_are_refused(build, text):
    with pytest.raises(UsageError, match=text):
        build()


def test_schedules():
    constant = Constant().over(1, 1)
    assert [constant(step) for step in (0, 10**6)] == [1, 1]
    step = StepDecay(every_epochs=2, factor=0.5).over(5, 10)
    assert [step(k) for k in (0, 9, 10, 19, 20)] == [1, 1, 0.5, 0.5, 0.25]
    cosine = Cosine(final=0.2).over(10, 10)
    assert cosine(0) == 1
    assert cosine(50) == pytest.approx(0.6)
    assert cosine(100) == cosine(150) == pytest.approx(0.2)
    assert all(cosine(k) > cosine(k + 1) for k in range(100))
    warm = Cosine(warmup_steps=4).over(10, 10)
    assert [warm(k) for k in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert warm(4) == 1
    assert warm(52) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: StepDecay(every_epochs=0), "StepDecay: every_epochs is 0; expected an integer of at least 1"),
        (lambda: StepDecay(every_epochs=1, factor=2), "StepDecay: factor is 2; expected a number above 0, up to 1"),
        (lambda: Cosine(warmup_steps=-1), "Cosine: warmup_steps is -1; expected an integer of at least 0"),
    ],
)
def test_a_schedule_refuses_values_out_of_range(build, text):
    with pytest.raises(UsageError, match=text):
        build()
