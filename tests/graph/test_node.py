"""Nodes: operators, shapes, order, and the lecture's examples."""

from __future__ import annotations

import numpy as np
import pytest

from distnn import graph
from distnn.errors import ShapeError, UsageError
from distnn.graph import N


def test_the_lectures_example_with_every_intermediate():
    a, b, c = graph.inputs("a b c")
    u = (b * c).named("u")
    v = (a + u).named("v")
    J = (3 * v).named("J")
    run = graph.evaluate(J, a=5, b=3, c=2)
    assert {name: run[name] for name in "abcuvJ"} == {"a": 5, "b": 3, "c": 2, "u": 6, "v": 11, "J": 33}
    assert {name: run.gradient[name] for name in "abcuvJ"} == {"a": 3, "b": 6, "c": 9, "u": 3, "v": 3, "J": 1}


def test_operators_take_numbers_and_arrays_on_either_side():
    x = graph.input("x", (N, 2))
    array = np.array([1.0, 2.0])
    value = np.array([[1.0, 4.0], [2.0, 8.0]])
    cases = [
        (1 + x, 1 + value),
        (x + 1, value + 1),
        (1 - x, 1 - value),
        (x - array, value - array),
        (array * x, array * value),
        (8 / x, 8 / value),
        (x / 2, value / 2),
        (-x, -value),
        (x**2, value**2),
        (x @ np.eye(2), value),
    ]
    for node, expected in cases:
        np.testing.assert_allclose(graph.evaluate(node.named("y"), x=value)["y"], expected)


def test_topological_order_puts_inputs_first_and_lists_each_node_once():
    a, b = graph.inputs("a b")
    c = a * b
    d = c + c
    e = d * c
    order = graph.topological([e])
    assert len(order) == 5
    for node in order:
        assert all(order.index(source) < order.index(node) for source in node.inputs)


def test_a_graph_may_be_deeper_than_pythons_stack():
    x = graph.input("x")
    y = x
    for _ in range(1100):
        y = y + 1.0
    assert graph.evaluate(y.named("y"), x=0)["y"] == 1100


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda x: x + np.ones(3), r"add: shapes \(N, 2\) and \(3,\) do not broadcast.*operands: x"),
        (lambda x: x @ np.ones((3, 2)), r"matmul: shapes \(N, 2\) and \(3, 2\) do not fit; expected \(N, I\)"),
        (lambda x: graph.reshape(x, 3), r"reshape: \(N, 2\) can't become \(N, 3\)"),
        (lambda x: graph.sum(x, axis=5), "sum: axis 5 is outside an array of 2 axes"),
        (lambda x: graph.sum(x, axis=(1, -1)), r"sum: axis \(1, -1\) names one of 2 axes twice"),
        (
            lambda x: graph.cross_entropy(x, graph.input("t", (N, 1), integer=True)),
            r"cross-entropy: logits \(N, 2\) and labels \(N, 1\) do not fit",
        ),
        (
            lambda x: graph.squared_error(x, graph.input("t", (N,))),
            r"squared error: the output has shape \(N, 2\) and the target \(N,\)",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_named(build, text):
    with pytest.raises(ShapeError, match=text):
        build(graph.input("x", (N, 2)))


def test_only_numbers_become_constants():
    with pytest.raises(UsageError, match="takes numbers and nodes, not str"):
        graph.input("x") + "1"


@pytest.mark.parametrize("build", [lambda x: x**x, lambda x: 2**x, lambda x: x ** "2"])
def test_only_numbers_are_exponents(build):
    with pytest.raises(UsageError, match="the exponent is .*; expected a number. For nodes"):
        build(graph.input("x"))


def test_an_array_times_a_node_is_a_product_of_matrices():
    left, right = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    found = graph.evaluate(graph.sum(left @ graph.input("w", (3, 4)).named("w")).named("y"), w=right)
    assert found["y"] == (left @ right).sum()
    np.testing.assert_array_equal(found.gradient["w"], np.repeat(left.sum(0)[:, None], 4, axis=1))


@pytest.mark.parametrize("exponent", [0, 0.0, np.float64(0)])
def test_the_power_0_is_constant_also_at_0(exponent):
    a = graph.input("a", (N,))
    found = graph.evaluate(graph.sum(a**exponent).named("y"), a=np.array([0.0, 2.0, -1.0]))
    assert found["y"] == 3
    np.testing.assert_array_equal(found.gradient["a"], np.zeros(3))


def test_lengths_of_numpy_are_lengths():
    node = graph.input("x", (N, np.prod((2, 3)), np.int32(4)))
    assert node.shape == (N, 6, 4) and all(type(length) is int for length in node.shape[1:])


def test_evaluate_names_what_is_missing_or_too_much():
    a, b = graph.inputs("alpha beta")
    with pytest.raises(UsageError, match="input 'beta' has no value"):
        graph.evaluate(a * b, alpha=1)
    with pytest.raises(UsageError, match=r"no input 'betta' \(did you mean 'beta'\?\)"):
        graph.evaluate(a * b, alpha=1, betta=2)


def test_first_values_depend_on_seed_and_name_alone():
    def build(*names):
        x = graph.input("x", (N, 3))
        draw = lambda generator, shape: generator.normal(size=shape)  # noqa: E731
        return graph.sum(sum((x @ graph.parameter(name, (3, 2), draw) for name in names), start=x @ np.zeros((3, 2))))

    both = graph.initialize([build("p", "q")], seed=3)
    swapped = graph.initialize([build("q", "p")], seed=3)
    assert not np.array_equal(both.value["p"], both.value["q"])
    for name in "pq":
        np.testing.assert_array_equal(both.value[name], swapped.value[name])
    assert not np.array_equal(both.value["p"], graph.initialize([build("p")], seed=4).value["p"])


def test_parameters_need_names_of_their_own():
    x = graph.input("x", (N, 3))
    draw = lambda generator, shape: generator.normal(size=shape)  # noqa: E731
    with pytest.raises(UsageError, match="two parameters are named 'w'"):
        graph.initialize([x @ graph.parameter("w", (3, 3), draw) @ graph.parameter("w", (3, 3), draw)])
    with pytest.raises(UsageError, match="has no name"):
        graph.initialize([x @ graph.parameter(None, (3, 3), draw)])
