"""One table runs every op through its shape rule, its gradient, fan-out, a batch of one, odd sizes and extremes.

The cases stand in ``cases_*.py``, a file for each family or two.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import warnings
from pathlib import Path

import numpy as np
import pytest

import distnn.ops
from distnn import graph
from distnn.graph import Plan
from distnn.ops import activation, classification, loss
from distnn.ops.op import Op
from tests.support.ops import build, scalar, values, weighed

FILES = [importlib.import_module(f"tests.ops.{path.stem}") for path in sorted(Path(__file__).parent.glob("cases_*.py"))]
CASES = [case for file in FILES for case in file.CASES]
DIFFERENTIABLE = [case for case in CASES if case.op.differentiable]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
every_differentiable = pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda case: case.id)


def test_the_table_holds_every_op():
    modules = [
        importlib.import_module(found.name) for found in pkgutil.walk_packages(distnn.ops.__path__, "distnn.ops.")
    ]
    known = {
        kind
        for module in modules
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, Op) and kind.__module__ == module.__name__
    }
    abstract = {Op}.union(*(file.ABSTRACT for file in FILES))
    assert known - abstract == {type(case.op) for case in CASES}


@every_case
@pytest.mark.parametrize("batch", [1, 2, 17])
def test_shape_rule_and_forward_agree_with_the_formula(case, batch):
    node, batch = build(case), max(batch, case.least)
    assert node.shape == case.output
    found = values(case, batch)
    # with a loss, since a forward-only plan runs what prediction runs
    loss_node = graph.sum(node) if case.op.differentiable else None
    plan = Plan({"y": node}, batch=batch, loss=loss_node, dtype=np.float64)
    for name, value in found.items():
        graph.bind_input(plan, name, value)
    plan.forward()
    np.testing.assert_allclose(plan.value["y"], case.formula(*found.values()), rtol=1e-12, atol=1e-14)
    assert plan.flops >= 0


@every_differentiable
@pytest.mark.parametrize("batch", [1, 5])
def test_gradient_agrees_with_central_differences(case, batch):
    batch = max(batch, case.least)
    found = weighed(case, batch, seed=batch)
    assert graph.check_gradients(scalar(build(case)), found, batch=batch, step=case.spacing) < 1e-7


@every_differentiable
def test_fan_out_adds_gradients_up(case):
    node = build(case)
    twice = scalar(node) * 0.5 + graph.sum(node) * 1.5
    assert graph.check_gradients(twice, weighed(case, 3, seed=3), batch=3, step=case.spacing) < 1e-7


@every_differentiable
def test_a_plan_used_again_gives_what_a_fresh_plan_gives(case):
    node = scalar(build(case))
    floats = [x for x in graph.topological([node]) if x.kind == "input" and not x.integer]

    def compute(plan, seed):
        for name, value in weighed(case, 4, seed).items():
            graph.bind_input(plan, name, value)
        plan.forward()
        plan.backward()
        return {name: gradient.copy() for name, gradient in plan.gradient.items()} | {"y": plan.value["y"].copy()}

    used = Plan({"y": node}, batch=4, loss=node, wrt=floats, dtype=np.float64)
    compute(used, 1)
    again, fresh = compute(used, 2), compute(Plan({"y": node}, batch=4, loss=node, wrt=floats, dtype=np.float64), 2)
    for name, value in fresh.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)


SATURATING = [
    case
    for case in CASES
    if case.op.differentiable
    and isinstance(
        case.op,
        activation.Activation | classification.OverClasses | loss.ElementwiseLoss,
    )
]


@pytest.mark.parametrize("case", SATURATING, ids=lambda case: case.id)
def test_extreme_inputs_stay_finite_in_float32(case):
    node = scalar(build(case)) if case.op.label != "relu" else build(case)
    floats = [x for x in graph.topological([node]) if x.name == "a"]
    loss_node = node if node.shape == () else graph.sum(node)
    found = weighed(case, 6, dtype=np.float32) if case.op.label != "relu" else values(case, 6, dtype=np.float32)
    found["a"] = np.sign(found["a"]) * np.float32(1e4)
    plan = Plan({"y": loss_node}, batch=6, loss=loss_node, wrt=floats)
    for name, value in found.items():
        graph.bind_input(plan, name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan.forward()
        plan.backward()
    assert np.isfinite(plan.value["y"])
    assert np.isfinite(plan.gradient["a"]).all()
