"""Dropout as a layer: its masks, and what they follow from."""

from __future__ import annotations

import numpy as np
import pytest

from distnn import graph
from distnn.errors import ShapeError, UsageError
from distnn.graph import N, Plan
from distnn.layers import Dense, Dropout, Residual, Sequential, name_parameters


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
    with pytest.raises(UsageError, match="rate is 1; expected a number of at least 0 and below 1"):
        Dropout(1)
    with pytest.raises(ShapeError, match=r"turns \(N, 3\) into \(N, 2\), but the shortcut gives \(N, 3\)"):
        Residual(Dense(2))(graph.input("x", (N, 3)))
