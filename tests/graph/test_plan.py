"""Plans: gradients against finite differences, fusion, memory, and what a step allocates."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn import graph
from distnn.errors import ShapeError, UsageError
from distnn.graph import BufferPool, Plan
from distnn.ops.op import Op


def weights(name, *shape, scale=0.7):
    return graph.parameter(name, shape, lambda generator, shape: generator.normal(0, scale, shape))


def network(activation):
    """x (N, 5) → tanh-like → a fan-out with a skip → cross-entropy over 3 classes."""
    x = graph.input("x", (graph.N, 5))
    t = graph.input("t", (graph.N,), integer=True)
    h = activation(x @ weights("w1", 5, 4) + weights("b1", 4))
    skip = activation(graph.affine(h, weights("w2", 4, 4), weights("b2", 4))) + h * h
    logits = graph.affine(skip, weights("w3", 4, 3), weights("b3", 3)).named("logits")
    return logits, graph.cross_entropy(logits, t)


def feed(plan, seed=0):
    generator = np.random.default_rng(seed)
    graph.bind_input(plan, "x", generator.normal(size=(plan.batch, 5)))
    graph.bind_input(plan, "t", generator.integers(0, 3, plan.batch))


@pytest.mark.parametrize("activation", [graph.relu, graph.tanh, graph.sigmoid], ids=["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("batch", [1, 7])
def test_gradients_agree_with_central_differences(activation, batch):
    _, loss = network(activation)
    parameters = graph.initialize([loss], dtype=np.float64)
    generator = np.random.default_rng(1)
    values = {"x": generator.normal(size=(batch, 5)), "t": generator.integers(0, 3, batch)}
    assert graph.check_gradients(loss, values, batch=batch, parameters=parameters) < 1e-7


def test_the_checker_sees_a_wrong_derivative(monkeypatch):
    from distnn.ops.activation import Tanh

    monkeypatch.setattr(Tanh, "backward", lambda self, dx, dy, y, scratch: np.copyto(dx, dy))
    _, loss = network(graph.tanh)
    parameters = graph.initialize([loss], dtype=np.float64)
    values = {"x": np.ones((2, 5)), "t": np.array([0, 1])}
    assert graph.check_gradients(loss, values, batch=2, parameters=parameters) > 1e-3


class Cube(Op):
    """y = x³ · 10⁻⁵, with a derivative that is given."""

    def __init__(self, slope):
        self.slope = slope

    def bind(self, work, y, x, dy, dx):
        return (lambda: np.multiply(x**3, 1e-5, out=y)), (lambda: np.copyto(dx, self.slope(x)))


@pytest.mark.parametrize(
    ("slope", "least"),
    [
        (lambda x: np.nan, np.inf),
        (lambda x: np.where(x == x.max(), np.nan, 3e-5 * x**2), np.inf),
        (lambda x: -np.inf, np.inf),
        (lambda x: 0 * x, 0.9),
        (lambda x: 3.1e-5 * x**2, 0.02),
    ],
)
def test_the_checker_sees_derivatives_that_are_wrong_and_small_or_not_finite(slope, least):
    values = {"x": np.random.default_rng(0).normal(size=(4, 3))}
    loss = graph.sum(graph.apply(Cube(slope), graph.input("x", (graph.N, 3))))
    assert graph.check_gradients(loss, values, batch=4) >= least
    right = graph.sum(graph.apply(Cube(lambda x: 3e-5 * x**2), graph.input("x", (graph.N, 3))))
    assert graph.check_gradients(right, values, batch=4) < 1e-3


@pytest.mark.filterwarnings("ignore:invalid value")
def test_the_checker_passes_no_loss_that_is_not_a_number():
    loss = graph.sum(graph.log(graph.input("x", (graph.N, 3))))
    assert graph.check_gradients(loss, {"x": np.full((2, 3), -1.0)}, batch=2) == np.inf


def test_the_checker_names_an_input_without_a_value():
    with pytest.raises(UsageError, match="check_gradients: the graph's input 'x' has no value"):
        graph.check_gradients(graph.sum(graph.input("x", (graph.N, 3))), {}, batch=2)


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_of_no_samples_is_refused(batch):
    with pytest.raises(UsageError, match=f"a plan's batch is {batch}; expected a number of samples, at least 1"):
        Plan({"y": graph.input("x", (graph.N, 3)) * 2.0}, batch=batch)


@st.composite
def expressions(draw):
    """A random expression of four inputs, each broadcasting against a (N, 3) array, built in up to eight steps."""
    shapes = [(graph.N, 3), (3,), (1, 3), ()]
    nodes = [graph.input(name, shape) for name, shape in zip("abcd", shapes, strict=True)]
    for _ in range(draw(st.integers(1, 8))):
        left, right = draw(st.sampled_from(nodes)), draw(st.sampled_from(nodes))
        build = draw(
            st.sampled_from(
                [
                    lambda p, q: p + q,
                    lambda p, q: p - q,
                    lambda p, q: p * q,
                    lambda p, q: p / (q * q + 2.0),
                    lambda p, q: graph.tanh(p) + q,
                    lambda p, q: graph.sigmoid(p * 0.5) * q,
                    lambda p, q: graph.exp(-(p * p)) - q,
                    lambda p, q: graph.log(p * p + 1.0) * 3.0,
                    lambda p, q: 2.0 - p,
                ]
            )
        )
        nodes.append(build(left, right))
    total = graph.sum(nodes[-1]) if nodes[-1].shape else nodes[-1]
    for node in nodes[:4]:  # every input takes part
        total = total + graph.sum(graph.tanh(node * 0.1)) if node.shape else total + graph.tanh(node * 0.1)
    return total


@given(expressions(), st.integers(1, 4), st.integers(0, 10**6))
def test_any_expression_has_the_gradient_of_finite_differences(loss, batch, seed):
    generator = np.random.default_rng(seed)
    shapes = {"a": (batch, 3), "b": (3,), "c": (1, 3), "d": ()}
    values = {name: generator.normal(size=shape) for name, shape in shapes.items()}
    assert graph.check_gradients(loss, values, batch=batch) < 1e-6


def test_fused_and_unfused_plans_agree_to_the_bit():
    logits, loss = network(graph.relu)
    parameters = graph.initialize([loss], dtype=np.float64)
    fused = Plan({"logits": logits, "loss": loss}, batch=6, loss=loss, parameters=parameters, dtype=np.float64)
    feed(fused)
    fused.forward()
    fused.backward()
    expected = {name: gradient.copy() for name, gradient in parameters.gradient.items()}
    value = fused.value["logits"].copy()
    plain = Plan({"loss": loss}, batch=6, loss=loss, parameters=parameters, dtype=np.float64, keep=True)
    feed(plain)
    plain.forward()
    plain.backward()
    assert [step.op.label for step in fused.steps][:2] == ["affine+relu", "affine+relu"]
    assert len(fused.steps) < len(plain.steps)
    np.testing.assert_allclose(plain.value["logits"], value, rtol=1e-14)
    for name, gradient in parameters.gradient.items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-12, err_msg=name)


def test_an_output_that_is_asked_for_is_not_fused_away():
    x = graph.input("x", (graph.N, 2))
    inner = graph.affine(x, weights("w", 2, 2), weights("b", 2))
    outer = graph.relu(inner)
    parameters = graph.initialize([outer])
    plan = Plan({"inner": inner, "outer": outer}, batch=3, parameters=parameters)
    graph.bind_input(plan, "x", np.random.default_rng(0).normal(size=(3, 2)))
    plan.forward()
    assert (plan.value["inner"] < 0).any()
    np.testing.assert_array_equal(plan.value["outer"], np.maximum(plan.value["inner"], 0))


def test_gradients_are_reported_ready_in_reverse_order_each_once_it_is_complete():
    _, loss = network(graph.relu)
    parameters = graph.initialize([loss])
    plan = Plan({"loss": loss}, batch=4, loss=loss, parameters=parameters)
    feed(plan)
    plan.forward()
    plan.backward()
    final = {name: gradient.copy() for name, gradient in parameters.gradient.items()}
    parameters.gradients[:] = np.nan
    feed(plan)
    plan.forward()
    order = []

    def progress(names):
        order.extend(names)
        for name in names:
            np.testing.assert_array_equal(parameters.gradient[name], final[name])

    plan.backward(progress)
    assert [name[1] for name in order] == ["3", "3", "2", "2", "1", "1"]
    assert sorted(order) == sorted(parameters.shapes)


def test_a_shared_parameter_gets_the_sum_and_is_ready_only_then():
    x = graph.input("x", (graph.N, 3))
    w = weights("w", 3, 3)
    loss = graph.sum(graph.tanh(graph.tanh(x @ w) @ w))
    parameters = graph.initialize([loss], dtype=np.float64)
    values = {"x": np.random.default_rng(0).normal(size=(4, 3))}
    assert graph.check_gradients(loss, values, batch=4, parameters=parameters) < 1e-7
    plan = Plan({"loss": loss}, batch=4, loss=loss, parameters=parameters, dtype=np.float64)
    order = []
    plan.forward()
    plan.backward(order.extend)
    assert order == ["w"]


def test_several_batch_sizes_share_one_pool():
    _, loss = network(graph.tanh)
    parameters = graph.initialize([loss])
    pool = BufferPool()
    plans = {
        batch: Plan({"loss": loss}, batch=batch, loss=loss, parameters=parameters, pool=pool) for batch in (32, 9, 1)
    }
    assert len(pool.arena) == plans[32].bytes
    for batch, plan in plans.items():
        alone = Plan({"loss": loss}, batch=batch, loss=loss, parameters=parameters)
        results = []
        for each in (plan, alone):
            feed(each, seed=batch)
            each.forward()
            each.backward()
            results.append((each.value["loss"].copy(), parameters.gradients.copy()))
        assert results[0][0] == results[1][0]
        np.testing.assert_array_equal(results[0][1], results[1][1])


def deep(layers):
    node = graph.input("x", (graph.N, 64))
    for k in range(layers):
        node = graph.tanh(graph.affine(node, weights(f"w{k}", 64, 64), weights(f"b{k}", 64)))
    return graph.sum(node)


def test_a_forward_only_plan_reuses_its_buffers():
    output = deep(12)
    parameters = graph.initialize([output])
    training = Plan({"y": output}, batch=50, loss=output, parameters=parameters)
    forward = Plan({"y": output}, batch=50, parameters=parameters)
    one = 50 * 64 * 4
    assert forward.bytes < 3 * one < 12 * one < training.bytes
    for plan in (training, forward):
        graph.bind_input(plan, "x", np.random.default_rng(0).normal(size=(50, 64)))
        plan.forward()
    assert forward.value["y"] == training.value["y"]


def test_a_step_allocates_no_array():
    _, loss = network(graph.relu)
    parameters = graph.initialize([loss])
    plan = Plan({"loss": loss}, batch=10000, loss=loss, parameters=parameters)
    feed(plan)
    assert plan.value["x"].nbytes > 64 * 1024
    held = {name: plan.value[name].copy() for name in "xt"}

    def step():
        np.copyto(plan.value["x"], held["x"])
        np.copyto(plan.value["t"], held["t"])
        plan.forward()
        plan.backward()

    for _ in range(3):
        step()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(100):
            step()
        growth = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert growth < 64 * 1024


def test_gradients_of_inputs_on_request():
    a, b = graph.inputs("a b")
    product = a * b
    plan = Plan({"y": product}, loss=product, wrt=[a], dtype=np.float64)
    graph.bind_input(plan, "a", np.array(2.0))
    graph.bind_input(plan, "b", np.array(7.0))
    plan.forward()
    plan.backward()
    assert plan.gradient == {"a": 7.0}


def test_the_gradient_of_an_intermediate_is_not_used_up():
    x = graph.input("x", (graph.N, 2))
    hidden = graph.tanh(graph.affine(x, weights("w", 2, 3), weights("b", 3))).named("hidden")
    loss = graph.sum(hidden * hidden)
    parameters = graph.initialize([loss], dtype=np.float64)
    outputs = {"loss": loss, "hidden": hidden}
    plan = Plan(outputs, batch=4, loss=loss, parameters=parameters, wrt=[hidden], dtype=np.float64)
    graph.bind_input(plan, "x", np.random.default_rng(0).normal(size=(4, 2)))
    plan.forward()
    plan.backward()
    np.testing.assert_allclose(plan.gradient["hidden"], 2 * plan.value["hidden"], rtol=1e-15)


def test_a_loss_must_be_a_scalar():
    x = graph.input("x", (graph.N, 3))
    with pytest.raises(UsageError, match=r"differentiates a scalar; the loss has shape \(N, 3\)"):
        Plan({"x": x}, loss=x + 1)


def test_two_inputs_of_one_name_are_refused():
    a, b = graph.input("a"), graph.input("a")
    with pytest.raises(UsageError, match="two nodes of the graph are named 'a'"):
        Plan({"y": a + b})


def test_a_missing_parameter_is_named():
    y = graph.input("x", (graph.N, 2)) @ weights("w", 2, 2)
    with pytest.raises(UsageError, match="has a parameter 'w'"):
        Plan({"y": y})


def test_an_input_of_the_wrong_shape_or_name_is_refused():
    plan = Plan({"y": graph.input("x", (graph.N, 2)) * 2}, batch=3)
    with pytest.raises(ShapeError, match=r"input 'x': expected shape \(3, 2\), found \(2, 3\)"):
        graph.bind_input(plan, "x", np.ones((2, 3)))
    with pytest.raises(UsageError, match="no input 'z'"):
        graph.bind_input(plan, "z", np.ones(3))
