"""Recurrent layers and the embedding: shapes, first values, carried states, padding, memory, and what doesn't fit."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from distnn import graph
from distnn.errors import ShapeError, UsageError
from distnn.graph import BufferPool, N, Plan
from distnn.layers import GRU, LSTM, Dense, Embedding, Sequential, SimpleRNN, name_parameters

CELLS = [SimpleRNN, GRU, LSTM]
every_cell = pytest.mark.parametrize("layer", CELLS)


def parameters(*outputs, **options):
    name_parameters(outputs)
    return graph.initialize(outputs, **options)


def run(plan, **inputs):
    for name, value in inputs.items():
        graph.bind_input(plan, name, value)
    plan.forward()
    return {name: value.copy() for name, value in plan.value.items()}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@every_cell
def test_shapes_and_names(layer):
    x = graph.input("x", (N, 7, 3))
    stack = Sequential(layer(5), layer(4, last=True), Dense(2))
    y = stack(x)
    assert y.shape == (N, 2)
    assert stack.layers[0](x).shape == (N, 7, 5)
    kind, gates = layer.__name__.lower(), {SimpleRNN: 1, GRU: 3, LSTM: 4}[layer]
    shapes = parameters(y).shapes
    assert shapes[f"{kind}1.weight_input"] == (3, 5 * gates)
    assert shapes[f"{kind}2.weight_recurrent"] == (4, 4 * gates)
    biases = [name for name in shapes if "bias" in name and kind in name]
    assert len(biases) == (4 if layer is GRU else 2)


def test_first_values():
    held = parameters(LSTM(16)(graph.input("x", (N, 2, 48))), dtype=np.float64)
    np.testing.assert_array_equal(held.value["lstm1.bias"], np.repeat([0, 1, 0, 0], 16))
    assert np.abs(held.value["lstm1.weight_recurrent"]).max() <= 0.25
    assert np.sqrt(6 / 64) * 0.98 < np.abs(held.value["lstm1.weight_input"]).max() <= np.sqrt(6 / 64)


@every_cell
@pytest.mark.parametrize("batch", [1, 3])
def test_two_halves_with_the_state_handed_on_are_the_whole(layer, batch):
    cell = layer(4)
    whole, ends = cell.unroll(graph.input("x", (N, 6, 2)))
    starts = [graph.input(f"start{k}", (N, 4)) for k in range(len(ends))]
    half, middle = cell.unroll(graph.input("x", (N, 3, 2)), state=starts)
    held = parameters(whole, dtype=np.float64)
    x = normal(batch, 6, 2)
    plan = Plan({"y": whole, **{f"end{k}": end for k, end in enumerate(ends)}}, **options(batch, held))
    expected = run(plan, x=x)
    plan = Plan({"y": half, **{f"end{k}": end for k, end in enumerate(middle)}}, **options(batch, held))
    first = run(plan, x=x[:, :3], **{f"start{k}": np.zeros((batch, 4)) for k in range(len(ends))})
    second = run(plan, x=x[:, 3:], **{f"start{k}": first[f"end{k}"] for k in range(len(ends))})
    np.testing.assert_allclose(np.hstack([first["y"], second["y"]]), expected["y"], rtol=1e-13)
    for k in range(len(ends)):
        np.testing.assert_allclose(second[f"end{k}"], expected[f"end{k}"], rtol=1e-13)


def options(batch, held):
    return {"batch": batch, "parameters": held, "dtype": np.float64}


@every_cell
def test_padding_is_never_read(layer):
    """NaN beyond a sample's length reaches neither the outputs nor the gradients."""
    lengths = graph.input("lengths", (N,), integer=True)
    loss = graph.sum(layer(4)(graph.input("x", (N, 5, 2)), lengths=lengths))
    held = parameters(loss, dtype=np.float64)
    plan = Plan({"loss": loss}, loss=loss, **options(4, held))
    x, ends = normal(4, 5, 2), np.array([5, 2, 0, 3])
    results = []
    for padding in (7.0, np.nan):
        x[np.arange(5) >= ends[:, None]] = padding
        value = run(plan, x=x, lengths=ends)["loss"]
        plan.backward()
        results.append((value, held.gradients.copy()))
    assert np.isfinite(results[0][0]) and results[0][0] == results[1][0]
    np.testing.assert_array_equal(results[0][1], results[1][1])


@every_cell
def test_the_last_output_is_the_last_valid_one(layer):
    lengths, x = graph.input("lengths", (N,), integer=True), graph.input("x", (N, 5, 2))
    cell = layer(4, last=True)
    last, plain = cell(x, lengths=lengths), cell(x)
    y, (h, *_) = cell.unroll(x, lengths=lengths)
    plan = Plan({"last": last, "plain": plain, "y": y, "h": h}, **options(3, parameters(y, dtype=np.float64)))
    found = run(plan, x=normal(3, 5, 2), lengths=np.array([5, 2, 1]))
    np.testing.assert_array_equal(found["last"], found["y"][np.arange(3), [4, 1, 0]])
    np.testing.assert_array_equal(found["last"], found["h"])
    np.testing.assert_array_equal(found["plain"][0], found["y"][0, -1])
    assert not found["y"][1, 2:].any()


@every_cell
def test_extreme_inputs_stay_finite(layer):
    loss = graph.sum(layer(4)(graph.input("x", (N, 5, 2))))
    held = parameters(loss)
    plan = Plan({"loss": loss}, batch=3, loss=loss, parameters=held)
    with np.errstate(all="raise", under="ignore"):
        value = run(plan, x=np.sign(normal(3, 5, 2)) * np.float32(1e4))["loss"]
        plan.backward()
    assert np.isfinite(value) and np.isfinite(held.gradients).all()


def language_model(layer, steps=20, units=64, **extra):
    """Tokens → embedding → cell → logits of every step, with the loss."""
    x = graph.input("x", (N, steps), integer=True)
    y = graph.input("y", (N, steps), integer=True)
    h = layer(units)(Embedding(50, 32)(x), **extra)
    return graph.cross_entropy(Dense(50)(h), y)


@every_cell
@pytest.mark.parametrize("masked", [False, True])
def test_a_step_allocates_no_array(layer, masked):
    lengths = graph.input("lengths", (N,), integer=True)
    loss = language_model(layer, **({"lengths": lengths} if masked else {}))
    plan = Plan({"loss": loss}, batch=96, loss=loss, parameters=parameters(loss))
    generator = np.random.default_rng(0)
    inputs = {name: generator.integers(0, 20, plan.value[name].shape) for name in ("x", "y", "lengths")[: 2 + masked]}

    def step():
        for name, value in inputs.items():
            np.copyto(plan.value[name], value)
        plan.forward()
        plan.backward()

    for _ in range(3):
        step()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(20):
            step()
        growth = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert growth < 64 * 1024


@every_cell
def test_a_language_model_has_the_gradient_of_central_differences(layer):
    loss = language_model(layer, steps=4, units=3)
    held = parameters(loss, dtype=np.float64)
    generator = np.random.default_rng(0)
    values = {name: generator.integers(0, 50, (3, 4)) for name in "xy"}
    assert graph.check_gradients(loss, values, batch=3, parameters=held) < 1e-7


def test_a_forward_only_plan_and_a_shared_pool_give_the_same():
    loss = language_model(LSTM)
    held, pool = parameters(loss), BufferPool()
    training = Plan({"loss": loss}, batch=8, loss=loss, parameters=held, pool=pool)
    forward = Plan({"loss": loss}, batch=8, parameters=held, pool=pool)
    tokens = np.random.default_rng(0).integers(0, 50, (2, 8, 20))
    values = [float(run(plan, x=tokens[0], y=tokens[1])["loss"]) for plan in (training, forward, training)]
    assert values[0] == values[1] == values[2]
    assert forward.bytes < training.bytes


@pytest.mark.parametrize("bias", [True, False])
def test_dense_of_every_step_is_dense_of_each(bias):
    x = graph.input("x", (N, 5, 3))
    y = Dense(2, "tanh", bias=bias)(x)
    assert y.shape == (N, 5, 2)
    held = parameters(y, dtype=np.float64)
    value, weight = normal(4, 5, 3), held.value["dense1.weight"]
    plan = Plan({"y": y}, **options(4, held))
    np.testing.assert_allclose(run(plan, x=value)["y"], np.tanh(value @ weight), rtol=1e-13)
    loss = graph.sum(y * y)
    assert graph.check_gradients(loss, {"x": value}, batch=4, parameters=held) < 1e-7
    assert list(held.shapes) == ["dense1.weight", "dense1.bias"][: 1 + bias]


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda: LSTM(0), UsageError, "LSTM: units is 0; expected an integer of at least 1"),
        (lambda: Embedding(0, 3), UsageError, "Embedding: tokens is 0; expected an integer of at least 1"),
        (
            lambda: Embedding(5, 3, name="words")(graph.input("x", (N, 4))),
            UsageError,
            r"Embedding\(5, 3, name='words'\): its input <x: input \(N, 4\)> isn't of integers",
        ),
        (
            lambda: GRU(3, name="memory")(graph.input("x", (N, 4))),
            ShapeError,
            r"GRU\(3, name='memory'\): its input has shape \(N, 4\); expected \(N, steps, features\)",
        ),
        (
            lambda: LSTM(3)(graph.input("x", (N, 4, 2)), state=[graph.input("h", (N, 3))]),
            UsageError,
            r"LSTM\(3\): its state is 1 nodes; expected 2: h0, c0",
        ),
        (
            lambda: SimpleRNN(3)(graph.input("x", (N, 4, 2)), state=[graph.input("h", (N, 2))]),
            ShapeError,
            r"simplernn: x \(N, 4, 2\), .* h0 \(N, 2\) do not fit; expected x \(N, T, I\), .* h0 \(N, H\)\.",
        ),
        (
            lambda: LSTM(3)(graph.input("x", (N, 4, 2)), lengths=graph.input("lengths", (N, 4), integer=True)),
            ShapeError,
            r"lstm: .* lengths \(N, 4\) do not fit; expected .*weight_input \(I, 4H\), .* lengths \(N,\)\.",
        ),
    ],
)
def test_what_does_not_fit_is_named(build, error, text):
    with pytest.raises(error, match=text):
        build()


def test_a_layer_called_on_another_width_names_both():
    layer = LSTM(3)
    layer(graph.input("x", (N, 4, 2)))
    with pytest.raises(ShapeError, match=r"has shape \(N, 4, 5\); expected \(N, steps, 2\)"):
        layer(graph.input("x", (N, 4, 5)))


def test_a_sequence_longer_than_the_plan_is_refused():
    y = LSTM(3)(graph.input("x", (N, 4, 2)))
    plan = Plan({"y": y}, batch=2, parameters=parameters(y))
    with pytest.raises(ShapeError, match=r"input 'x': expected shape \(2, 4, 2\), found \(2, 5, 2\)"):
        graph.bind_input(plan, "x", np.zeros((2, 5, 2), np.float32))
