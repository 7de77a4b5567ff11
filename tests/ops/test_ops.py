"""One table runs every op through its shape rule, its gradient, fan-out, a batch of one, odd sizes and extreme values."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.special

from distnn import graph
from distnn.graph import N, Plan
from distnn.ops import activation, arithmetic, linear, loss, probability
from distnn.ops.op import Op

LABELS = "labels"  # stands for an integer input (N,)
BITS = "bits"  # stands for a float input of zeros and ones


@dataclass
class Case:
    """An op, the shapes of its inputs, the shape of its output, and an independent formula in numpy or scipy."""

    op: Op
    inputs: tuple
    output: tuple
    formula: object
    away_from_zero: bool = False  # not differentiable there, or not defined

    @property
    def id(self):
        return f"{self.op.label}-{'-'.join(map(str, self.inputs))}"


def ce(z, t):
    return -np.sum(scipy.special.log_softmax(z, axis=1)[np.arange(len(z)), t])


def bce(z, t):
    p = scipy.special.expit(z.reshape(-1))
    return -np.sum(scipy.special.xlogy(t, p) + scipy.special.xlogy(1 - t, 1 - p))


CASES = [
    Case(arithmetic.Add(), ((N, 3), (N, 3)), (N, 3), np.add),
    Case(arithmetic.Add(), ((N, 3), (3,)), (N, 3), np.add),
    Case(arithmetic.Add(), ((), (N, 3)), (N, 3), np.add),
    Case(arithmetic.Subtract(), ((1, 3), (N, 3)), (N, 3), np.subtract),
    Case(arithmetic.Subtract(), ((N, 1), (3,)), (N, 3), np.subtract),
    Case(arithmetic.Multiply(), ((N, 3), (N, 1)), (N, 3), np.multiply),
    Case(arithmetic.Multiply(), ((), ()), (), np.multiply),
    Case(arithmetic.Divide(), ((N, 3), (3,)), (N, 3), np.divide, away_from_zero=True),
    Case(arithmetic.Negate(), ((N, 3),), (N, 3), np.negative),
    Case(arithmetic.Power(3), ((N, 3),), (N, 3), lambda x: x**3),
    Case(arithmetic.Power(-1), ((N, 2),), (N, 2), lambda x: 1 / x, away_from_zero=True),
    Case(arithmetic.Exp(), ((N, 3),), (N, 3), np.exp),
    Case(arithmetic.Log(), ((N, 3),), (N, 3), np.log, away_from_zero=True),
    Case(arithmetic.Sum(), ((N, 3),), (), np.sum),
    Case(arithmetic.Sum(1), ((N, 3, 2),), (N, 2), lambda x: x.sum(1)),
    Case(arithmetic.Sum((0, 2)), ((N, 3, 2),), (3,), lambda x: x.sum((0, 2))),
    Case(arithmetic.MatMul(), ((N, 3), (3, 5)), (N, 5), np.matmul),
    Case(arithmetic.Reshape(6), ((N, 3, 2),), (N, 6), lambda x: x.reshape(len(x), 6)),
    Case(arithmetic.Reshape(-1, 2), ((N, 6),), (N, 3, 2), lambda x: x.reshape(len(x), 3, 2)),
    Case(activation.Sigmoid(), ((N, 3),), (N, 3), scipy.special.expit),
    Case(activation.Tanh(), ((N, 3, 2),), (N, 3, 2), np.tanh),
    Case(activation.ReLU(), ((N, 7),), (N, 7), lambda x: np.where(x > 0, x, 0), away_from_zero=True),
    Case(linear.Affine(), ((N, 3), (3, 5), (5,)), (N, 5), lambda x, w, b: x @ w + b),
    Case(
        linear.AffineActivation(activation.Tanh()),
        ((N, 3), (3, 5), (5,)),
        (N, 5),
        lambda x, w, b: np.tanh(x @ w + b),
    ),
    Case(
        linear.AffineActivation(activation.Sigmoid()),
        ((N, 1), (1, 1), (1,)),
        (N, 1),
        lambda x, w, b: scipy.special.expit(x @ w + b),
    ),
    Case(probability.Softmax(), ((N, 4),), (N, 4), lambda z: scipy.special.softmax(z, axis=-1)),
    Case(loss.SquaredError(), ((N, 3), (N, 3)), (), lambda p, t: np.sum((p - t) ** 2)),
    Case(loss.SquaredError(), ((N, 1), (N,)), (), lambda p, t: np.sum((p[:, 0] - t) ** 2)),
    Case(loss.BinaryCrossEntropy(), ((N, 1), BITS), (), bce),
    Case(loss.BinaryCrossEntropy(), ((N,), BITS), (), bce),
    Case(loss.CrossEntropy(), ((N, 4), LABELS), (), ce),
    Case(loss.CorrectClasses(), ((N, 4), LABELS), (), lambda z, t: np.sum(z.argmax(1) == t)),
    Case(loss.CorrectBinary(), ((N, 1), BITS), (), lambda z, t: np.sum((scipy.special.expit(z[:, 0]) >= 0.5) == t)),
]
DIFFERENTIABLE = [case for case in CASES if case.op.differentiable]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
every_differentiable = pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda case: case.id)


def build(case):
    """The op's node over fresh inputs called a, b, c."""
    nodes = []
    for name, shape in zip("abc", case.inputs, strict=False):
        integer = shape == LABELS
        nodes.append(graph.input(name, (N,) if isinstance(shape, str) else shape, integer=integer))
    return graph.apply(case.op, *nodes)


def values(case, batch, seed=0, dtype=np.float64):
    generator = np.random.default_rng(seed)
    found = {}
    for name, shape in zip("abc", case.inputs, strict=False):
        if shape == LABELS:
            found[name] = generator.integers(0, 4, batch)
        elif shape == BITS:
            found[name] = generator.integers(0, 2, batch).astype(dtype)
        else:
            bound = tuple(batch if length is N else length for length in shape)
            drawn = generator.uniform(0.3, 1.5, bound)
            sign = 1 if isinstance(case.op, arithmetic.Log) else generator.choice([-1, 1], bound)
            found[name] = np.asarray(drawn * sign if case.away_from_zero else generator.normal(size=bound), dtype)
    return found


def scalar(node):
    """Σ y² / 2 + Σ y: a scalar that weighs every element of y differently."""
    return node if node.shape == () else graph.sum(node * node * 0.5 + node)


def test_the_table_holds_every_op():
    modules = (arithmetic, activation, linear, loss, probability)
    known = {
        kind
        for module in modules
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, Op) and kind.__module__ == module.__name__
    }
    abstract = {arithmetic.Binary, arithmetic.Unary, activation.Activation, loss.ElementwiseLoss, loss._OverClasses}
    assert known - abstract == {type(case.op) for case in CASES}


@every_case
@pytest.mark.parametrize("batch", [1, 2, 17])
def test_shape_rule_and_forward_agree_with_the_formula(case, batch):
    node = build(case)
    assert node.shape == case.output
    found = values(case, batch)
    plan = Plan({"y": node}, batch=batch, dtype=np.float64)
    for name, value in found.items():
        graph.bind_input(plan, name, value)
    plan.forward()
    np.testing.assert_allclose(plan.value["y"], case.formula(*found.values()), rtol=1e-12, atol=1e-14)
    assert plan.flops >= 0


@every_differentiable
@pytest.mark.parametrize("batch", [1, 5])
def test_gradient_agrees_with_central_differences(case, batch):
    assert graph.check_gradients(scalar(build(case)), gradable(case, batch), batch=batch) < 1e-7


def gradable(case, batch):
    return values(case, batch, seed=batch)


@every_differentiable
def test_fan_out_adds_gradients_up(case):
    node = build(case)
    twice = scalar(node) * 0.5 + scalar(node) * 1.5
    assert graph.check_gradients(twice, gradable(case, 3), batch=3) < 1e-7


@every_differentiable
def test_a_plan_used_again_gives_what_a_fresh_plan_gives(case):
    node = scalar(build(case))
    floats = [x for x in graph.topological([node]) if x.kind == "input" and not x.integer]

    def compute(plan, seed):
        for name, value in values(case, 4, seed).items():
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
    if isinstance(case.op, activation.Activation | probability.Softmax | loss.CrossEntropy | loss.BinaryCrossEntropy)
]


@pytest.mark.parametrize("case", SATURATING, ids=lambda case: case.id)
def test_extreme_inputs_stay_finite_in_float32(case):
    node = scalar(build(case)) if case.op.onnx != "Relu" else build(case)
    floats = [x for x in graph.topological([node]) if x.name == "a"]
    loss_node = node if node.shape == () else graph.sum(node)
    found = values(case, 6, dtype=np.float32)
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
