"""Dense layers with any activation, maxout, and layer norm: as layers of a graph."""

from __future__ import annotations

import numpy as np
import pytest

from distnn import graph
from distnn.errors import ShapeError, UsageError
from distnn.graph import N, Plan
from distnn.layers import BatchNorm, Dense, LayerNorm, Maxout, Sequential, initial, name_parameters
from distnn.ops.activation import ELU, Activation, LeakyReLU


def parameters(output, dtype=np.float64):
    name_parameters([output])
    return graph.initialize([output], dtype=dtype)


def computed(output, x, held):
    plan = Plan({"y": output}, batch=len(x), parameters=held, dtype=held.dtype)
    graph.bind_input(plan, "x", x)
    plan.forward()
    return plan.value["y"].copy()


ACTIVATIONS = Activation.family.kinds
X = np.random.default_rng(0).normal(size=(9, 3))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_an_activation_by_name_in_a_network_has_the_right_gradient(name, bias):
    output = Sequential(Dense(4, name, bias=bias), Dense(2))(graph.input("x", (N, 3)))
    loss = graph.sum(output * output)
    held = parameters(loss)
    kinked = name in ("relu", "leaky_relu", "elu")
    x = X + 0.05 if kinked else X
    assert graph.check_gradients(loss, {"x": x}, batch=len(x), parameters=held) < 1e-7


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "identity"])
def test_an_activation_is_fused_and_computes_what_it_does_alone(name):
    x = graph.input("x", (N, 3))
    output = Dense(4, name)(x)
    loss = graph.sum(output * output)
    held = parameters(loss)
    slim, whole = (Plan({"y": output}, batch=9, loss=loss, parameters=held, dtype=np.float64, keep=k) for k in (0, 1))
    assert any(step.op.label.startswith("affine+") for step in slim.steps)
    found = []
    for plan in (slim, whole):
        graph.bind_input(plan, "x", X)
        plan.forward()
        plan.backward()
        found.append([plan.value["y"].copy(), *(gradient.copy() for gradient in held.gradient.values())])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-15)


def test_an_activation_may_be_an_op():
    output = Dense(4, LeakyReLU(0.25))(graph.input("x", (N, 3)))
    held = parameters(output)
    z = X @ held.value["dense1.weight"]
    np.testing.assert_allclose(computed(output, X, held), np.where(z > 0, z, z / 4), rtol=1e-13)


def test_rectifiers_begin_like_relu():
    for given in ("relu", "leaky_relu", "elu", "gelu", "silu", ELU(0.5)):
        assert initial.for_weights("auto", given) is initial.he
    for given in ("tanh", "softplus", "softmax", "identity", None):
        assert initial.for_weights("auto", given) is initial.glorot


def test_maxout_is_the_largest_of_its_pieces():
    output = Maxout(2, 3)(graph.input("x", (N, 3)))
    held = parameters(output)
    held.value["maxout1.bias"][:] = np.arange(6)
    pieces = (X @ held.value["maxout1.weight"] + np.arange(6)).reshape(-1, 3, 2)
    np.testing.assert_allclose(computed(output, X, held), pieces.max(1), rtol=1e-13)


def test_maxout_has_the_right_gradient():
    loss = graph.sum(Maxout(2, 4)(Dense(5, "tanh")(graph.input("x", (N, 3)))) ** 2)
    assert graph.check_gradients(loss, {"x": X}, batch=len(X), parameters=parameters(loss)) < 1e-7


def test_each_piece_of_maxout_begins_as_a_layer_of_its_own():
    weight = parameters(Maxout(300, 4)(graph.input("x", (N, 400)))).value["maxout1.weight"]
    assert weight.shape == (400, 1200)
    assert abs(weight.var() / (2 / 700) - 1) < 0.02


def test_layer_norm_begins_with_mean_0_and_variance_1():
    output = LayerNorm()(graph.input("x", (N, 2, 50)))
    held = parameters(output)
    assert list(held.shapes) == ["layernorm1.gain", "layernorm1.bias"]
    y = computed(output, np.random.default_rng(1).normal(3, 5, (4, 2, 50)), held)
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(-1), 1, rtol=1e-5)


def test_layer_norm_has_the_right_gradient():
    loss = graph.sum(Dense(2)(LayerNorm()(Dense(5)(graph.input("x", (N, 3))))) ** 2)
    assert graph.check_gradients(loss, {"x": X}, batch=len(X), parameters=parameters(loss)) < 1e-7


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda: Dense(3, "gleu"), UsageError, r"unknown activation 'gleu' \(did you mean 'gelu'\?\); known are elu, "),
        (lambda: LeakyReLU(1.5), UsageError, "LeakyReLU: slope is 1.5; expected a number above 0 and below 1"),
        (lambda: ELU(0), UsageError, "ELU: alpha is 0; expected a finite number above 0"),
        (lambda: Maxout(0), UsageError, "Maxout: units is 0; expected an integer of at least 1"),
        (lambda: Maxout(3, 0), UsageError, "Maxout: pieces is 0; expected an integer of at least 1"),
        (
            lambda: Maxout(3, 2)(graph.input("x", (N,))),
            ShapeError,
            r"Maxout\(3, 2\): its input has shape \(N,\); expected \(N, features\). Flatten\(\) before it",
        ),
        (
            lambda: graph.maxout(graph.input("x", (N, 5)), 2),
            ShapeError,
            r"maxout: the input has shape \(N, 5\); expected a last axis that 2 pieces share evenly",
        ),
        (lambda: LayerNorm(0), UsageError, "LayerNorm: axes is 0; expected an integer of at least 1"),
        (lambda: BatchNorm(-1), UsageError, "BatchNorm: epsilon is -1; expected a finite number above 0"),
        (
            lambda: LayerNorm(2, name="norm")(graph.input("x", (N, 5))),
            ShapeError,
            r"LayerNorm\(2, name='norm'\): its input has shape \(N, 5\); expected \(N, …\) with 2 or more axes",
        ),
        (
            lambda: graph.layer_norm(graph.input("x", (N, 3)), graph.input("a", (3,)), graph.input("b", (2,))),
            ShapeError,
            r"layernorm: x \(N, 3\), gain \(3,\) and bias \(2,\) do not fit",
        ),
    ],
)
def test_what_does_not_fit_is_named(build, error, text):
    with pytest.raises(error, match=text):
        build()
