"""Layers: names, sharing, first values, and what doesn't fit."""

from __future__ import annotations

import numpy as np
import pytest

from distnn import graph
from distnn.errors import ShapeError, UsageError
from distnn.graph import N, Plan
from distnn.layers import (
    GRU,
    LSTM,
    AveragePool1D,
    Conv1D,
    Conv2D,
    Dense,
    Flatten,
    LayerNorm,
    Maxout,
    MaxPool2D,
    Residual,
    Sequential,
    SimpleRNN,
    Subsample,
    name_parameters,
)


def parameters(output, **options):
    name_parameters([output])
    return graph.initialize([output], **options)


def test_dense_computes_its_formula():
    output = Dense(4, "tanh")(graph.input("x", (N, 3)))
    held = parameters(output, dtype=np.float64)
    held.value["dense1.bias"][:] = [1, 2, 3, 4]
    x = np.random.default_rng(0).normal(size=(5, 3))
    plan = Plan({"y": output}, batch=5, parameters=held, dtype=np.float64)
    graph.bind_input(plan, "x", x)
    plan.forward()
    expected = np.tanh(x @ held.value["dense1.weight"] + [1, 2, 3, 4])
    np.testing.assert_allclose(plan.value["y"], expected, rtol=1e-13)


def test_without_bias_there_is_only_a_weight():
    assert list(parameters(Dense(4, bias=False)(graph.input("x", (N, 3)))).shapes) == ["dense1.weight"]


def test_names_in_a_sequence():
    net = Sequential(Flatten(), Dense(3, "relu"), Dense(3, name="middle"), Dense(2))
    held = parameters(net(graph.input("x", (N, 2, 2))))
    assert list(held.shapes) == [
        f"{layer}.{role}" for layer in ("dense1", "middle", "dense2") for role in ("weight", "bias")
    ]


def test_names_of_nested_and_free_layers():
    x = graph.input("x", (N, 4))
    inner = Sequential(Dense(4), Dense(4), name="block")
    held = parameters(Sequential(inner, Dense(2))(x))
    assert [name for name in held.shapes if "weight" in name] == [
        "block.dense1.weight",
        "block.dense2.weight",
        "dense1.weight",
    ]
    free = parameters(Dense(2)(Sequential(Dense(3))(x)) + Sequential(Dense(2))(x))
    assert [name for name in free.shapes if "weight" in name] == [
        "sequential1.dense1.weight",
        "dense1.weight",
        "sequential2.dense1.weight",
    ]


def test_a_layer_called_twice_shares_its_parameters():
    layer = Dense(3)
    x = graph.input("x", (N, 3))
    held = parameters(layer(layer(x)))
    assert held.count == 3 * 3 + 3


def test_names_do_not_depend_on_how_many_models_were_made_before():
    first, second = (list(parameters(Sequential(Dense(2))(graph.input("x", (N, 2)))).shapes) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("activation", "initialization", "variance"),
    [
        ("relu", "auto", 2 / 400),
        ("tanh", "auto", 2 / (400 + 300)),
        ("tanh", "he", 2 / 400),
        ("relu", "glorot", 2 / 700),
    ],
)
def test_first_values_have_the_variance_of_the_papers(activation, initialization, variance):
    output = Dense(300, activation, initialization=initialization)(graph.input("x", (N, 400)))
    weight = parameters(output).value["dense1.weight"]
    assert abs(weight.var() / variance - 1) < 0.02
    assert abs(weight.mean()) < 4 * np.sqrt(variance / weight.size)


def test_flatten_costs_nothing():
    x = graph.input("x", (N, 3, 2))
    plan = Plan({"y": Flatten()(x)}, batch=4)
    assert np.shares_memory(plan.value["x"], plan.value["y"])
    assert plan.value["y"].shape == (4, 6)


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda n: Sequential(Dense(n(5)), Dense(2)), (4,)),
        (lambda n: Sequential(Maxout(n(5), n(2)), Dense(2)), (4,)),
        (lambda n: Sequential(Conv2D(n(5), n(3), stride=n(2), padding=n(1), groups=n(1)), Conv2D(2)), (9, 9, 3)),
        (lambda n: Sequential(Conv2D(5, (n(3), n(2)), padding=(n(1), n(0))), MaxPool2D(n(2)), Conv2D(2)), (9, 9, 3)),
        (lambda n: Sequential(Conv1D(n(5), n(3), padding=(n(1), n(0))), AveragePool1D(n(2), n(1)), Conv1D(2)), (9, 3)),
        (lambda n: Sequential(LSTM(n(5)), GRU(n(4)), SimpleRNN(2)), (5, 3)),
        (lambda n: Sequential(LayerNorm(n(2)), Subsample(n(4), n(2)), Conv2D(2)), (5, 5, 3)),
    ],
)
def test_integers_of_numpy_are_sizes_like_those_of_python(build, shape):
    x = graph.input("x", (N, *shape))
    assert build(np.int64)(x).shape == build(int)(x).shape


class Wide(Dense):
    """A layer of one's own, which hands a number on."""

    def __init__(self, half: int) -> None:
        super().__init__(2 * half)


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (
            lambda: Dense(3)(graph.input("x", (N,))),
            ShapeError,
            r"Dense\(3\): its input has shape \(N,\); expected \(N, features\)\. Flatten\(\) before it",
        ),
        (lambda: Dense(0), UsageError, "Dense: units is 0; expected an integer of at least 1"),
        (lambda: Dense(2.5), UsageError, "Dense: units is 2.5; expected an integer of at least 1"),
        (lambda: Wide(-2), UsageError, "Wide: units is -4; expected an integer of at least 1"),
        (lambda: Dense(3, "rellu"), UsageError, r"unknown activation 'rellu' \(did you mean 'relu'\?\)"),
        (lambda: Dense(3, initialization="hee"), UsageError, r"unknown initialization 'hee' \(did you mean 'he'\?\)"),
        (lambda: Dense(3, np.tanh), UsageError, "<ufunc 'tanh'> is no activation; expected a name, one of: elu, gelu"),
        (lambda: Dense(3, initialization=np.zeros), UsageError, "unknown initialization '<.*zeros.*>'; known are auto"),
        (lambda: Sequential(Dense(3), np.tanh), UsageError, "Sequential: <ufunc 'tanh'> is no layer; expected objects"),
        (lambda: Sequential(Dense), UsageError, "Sequential: <class .*Dense'> is no layer; expected objects such as"),
        (lambda: Residual(np.tanh), UsageError, "Residual: <ufunc 'tanh'> is no layer; expected objects such as"),
        (lambda: Dense(3, name="a.b"), UsageError, "expected a word without"),
    ],
)
def test_what_does_not_fit_is_named(build, error, text):
    with pytest.raises(error, match=text):
        build()


def test_a_layer_called_on_another_width_names_both():
    layer = Dense(3, name="head")
    layer(graph.input("x", (N, 2)))
    with pytest.raises(ShapeError, match=r"name='head'\): its input has shape \(N, 5\); expected \(N, 2\)"):
        layer(graph.input("x", (N, 5)))
