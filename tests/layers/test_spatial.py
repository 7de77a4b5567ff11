"""Convolution and pooling layers: shapes, names, first values, fusion, memory, and what doesn't fit."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from distnn import graph
from distnn.graph import N, Plan
from distnn.layers import (
    AveragePool1D,
    AveragePool2D,
    Conv1D,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    MaxPool1D,
    MaxPool2D,
    Sequential,
    name_parameters,
)
from distnn.ops.conv import convolution


def image(*shape, name="x"):
    return graph.input(name, (N, *shape))


def parameters(output, **options):
    name_parameters([output])
    return graph.initialize([output], **options)


def convnet(x, activation="relu"):
    return Sequential(
        Conv2D(4, 3, activation, padding="same"),
        MaxPool2D(),
        Conv2D(6, (3, 2), activation, stride=2, padding=1, groups=2),
        Conv2D(6, 3, padding="same", groups=6),
        AveragePool2D(3, 2, padding="same"),
        Conv2D(5, 1, activation, bias=False),
        GlobalAveragePool(),
        Dense(3),
    )(x)


@pytest.mark.parametrize(
    ("layer", "shape", "output"),
    [
        (Conv2D(8), (9, 7, 3), (7, 5, 8)),
        (Conv2D(8, 3, stride=2, padding="same"), (9, 6, 3), (5, 3, 8)),
        (Conv2D(8, (1, 4), padding=(0, 2), dilation=(1, 2)), (9, 7, 3), (9, 5, 8)),
        (Conv2D(8, 2, padding=((1, 0), (0, 3)), groups=2), (3, 3, 4), (3, 5, 8)),
        (Conv1D(8, 4, padding=(3, 0)), (10, 2), (10, 8)),
        (Conv1D(8, 4, stride=3, padding="same"), (10, 2), (4, 8)),
        (MaxPool2D(), (9, 7, 3), (4, 3, 3)),
        (MaxPool2D(3, 2, padding="same"), (9, 7, 3), (5, 4, 3)),
        (AveragePool2D((2, 3)), (9, 7, 3), (4, 2, 3)),
        (MaxPool1D(3), (10, 2), (3, 2)),
        (AveragePool1D(3, 1), (10, 2), (8, 2)),
        (GlobalAveragePool(), (9, 7, 3), (3,)),
        (GlobalMaxPool(), (10, 2), (2,)),
    ],
)
def test_output_shapes(layer, shape, output):
    assert layer(image(*shape)).shape == (N, *output)


def test_images_and_sequences_without_channels_are_taken_for_one_channel():
    for layer, shape in ((Conv2D(4, activation="tanh"), (7, 5)), (Conv1D(4, activation="tanh"), (7,))):
        bare, full = layer(image(*shape)), layer(image(*shape, 1))
        assert bare.shape == full.shape
        held = parameters(bare)
        x = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
        results = []
        for output, value in ((bare, x), (full, x[..., None])):
            plan = Plan({"y": output}, batch=3, parameters=held)
            graph.bind_input(plan, "x", value)
            plan.forward()
            results.append(plan.value["y"].copy())
        np.testing.assert_array_equal(*results)


def test_names_and_shapes_of_parameters():
    held = parameters(convnet(image(8, 8, 2)))
    assert {name: shape for name, shape in held.shapes.items() if "conv" in name} == {
        "conv2d1.weight": (3, 3, 2, 4),
        "conv2d1.bias": (4,),
        "conv2d2.weight": (3, 2, 2, 6),
        "conv2d2.bias": (6,),
        "conv2d3.weight": (3, 3, 1, 6),
        "conv2d3.bias": (6,),
        "conv2d4.weight": (1, 1, 6, 5),
    }


@pytest.mark.parametrize(
    ("activation", "initialization", "variance"),
    [("relu", "auto", 2 / (9 * 20)), ("tanh", "auto", 2 / (9 * 20 + 9 * 80)), ("tanh", "he", 2 / (9 * 20))],
)
def test_first_values_have_the_variance_of_the_papers(activation, initialization, variance):
    layer = Conv2D(80, 3, activation, groups=2, initialization=initialization)
    weight = parameters(layer(image(5, 5, 40))).value["conv2d1.weight"]
    assert abs(weight.var() / variance - 1) < 0.05


@pytest.mark.parametrize(("activation", "blocks"), [("tanh", None), ("gelu", None), ("gelu", 300)])
def test_gradients_of_a_network_agree_with_central_differences(activation, blocks, monkeypatch):
    if blocks:
        monkeypatch.setattr("distnn.ops.blocks.BLOCK", blocks)
        monkeypatch.setattr("distnn.ops.blocks.LEAST", 1)
    output = convnet(image(7, 8, 2), activation)
    loss = graph.sum(output * output)
    held = parameters(loss, dtype=np.float64)
    values = {"x": np.random.default_rng(5).normal(size=(2, 7, 8, 2))}
    assert graph.check_gradients(loss, values, batch=2, parameters=held) < 1e-7


def test_a_plan_puts_the_activation_into_the_convolution():
    output = convnet(image(8, 8, 2))
    loss = graph.sum(output * output)
    held = parameters(loss, dtype=np.float64)
    fused = Plan({"loss": loss}, batch=5, loss=loss, parameters=held, dtype=np.float64)
    plain = Plan({"loss": loss}, batch=5, loss=loss, parameters=held, dtype=np.float64, keep=True)
    labels = [step.op.label for step in fused.steps]
    assert labels[:6] == ["conv2d+relu", "maxpool2d", "conv2d+relu", "conv2d", "averagepool2d", "conv2d+relu"]
    results = []
    for plan in (fused, plain):
        graph.bind_input(plan, "x", np.random.default_rng(0).normal(size=(5, 8, 8, 2)))
        plan.forward()
        plan.backward()
        results.append((plan.value["loss"].copy(), held.gradients.copy()))
    np.testing.assert_allclose(*(value for value, _ in results), rtol=1e-13)
    np.testing.assert_allclose(*(gradients for _, gradients in results), rtol=1e-10, atol=1e-12)


def test_flops_count_every_multiplication_and_addition():
    output = Conv2D(6, (3, 2), groups=2)(image(9, 8, 4))
    plan = Plan({"y": output}, batch=5, parameters=parameters(output))
    assert plan.flops == 2 * 5 * 7 * 7 * 6 * (3 * 2 * 2)


def test_a_step_allocates_no_array():
    output = convnet(image(30, 30, 2))
    top = GlobalMaxPool()(MaxPool1D(3, 2)(Conv1D(8, 3, "gelu")(image(500, 1, name="sequence"))))
    loss = graph.sum(output * output) + graph.sum(top)
    held = parameters(loss)
    plan = Plan({"loss": loss}, batch=64, loss=loss, parameters=held)
    draw = np.random.default_rng(0)
    inputs = {name: draw.normal(size=plan.value[name].shape).astype(np.float32) for name in ("x", "sequence")}

    def step():
        for name, value in inputs.items():
            np.copyto(plan.value[name], value)
        plan.forward()
        plan.backward()

    step()
    tracemalloc.start()
    try:
        step()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(5):
            step()
        growth = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert growth < 64 * 1024


@pytest.mark.parametrize(
    ("x", "weight", "options"),
    [
        ((128, 28, 28, 1), (3, 3, 1, 32), {"padding": "same"}),
        ((128, 14, 14, 32), (3, 3, 32, 64), {"padding": "same"}),
        ((64, 224, 224, 3), (7, 7, 3, 64), {"stride": 2, "padding": 3}),
        ((64, 56, 56, 64), (3, 3, 64, 128), {"stride": 2, "padding": "same"}),
        ((32, 100_000, 1, 8), (9, 1, 8, 8), {"padding": "same"}),
    ],
)
def test_the_columns_stay_small_however_large_the_images(x, weight, options):
    op = convolution.Conv2D(**options)
    y = (x[0], *op.shape((N, *x[1:]), weight)[1:])
    image_bytes = 4 * (x[1] + 6) * (x[2] + 6) * x[3]
    for name in ("forward", "backward"):
        assert 4 * np.prod(op.work(y, x, weight)[name].shape) < 2.5 * 2**20 + image_bytes


def test_a_mean_over_the_edge_counts_only_the_image():
    plan = Plan({"y": AveragePool2D(2, padding="same")(image(3, 3, 1))}, batch=1)
    graph.bind_input(plan, "x", np.arange(9.0).reshape(1, 3, 3, 1))
    plan.forward()
    np.testing.assert_array_equal(plan.value["y"][0, :, :, 0], [[2, 3.5], [6.5, 8]])


def test_a_small_network_learns():
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, 40)
    x = draw.normal(size=(40, 6, 6)).astype(np.float32) * 0.1
    x[np.arange(40), 2 + labels, 1:5] += 1  # a stroke in the third or the fourth row
    target = graph.input("t", (N,), integer=True)
    net = Sequential(Conv2D(4, 3, "relu", padding="same"), MaxPool2D(), Flatten(), Dense(2))
    loss = graph.cross_entropy(net(image(6, 6)), target)
    held = parameters(loss)
    plan = Plan({"loss": loss}, batch=40, loss=loss, parameters=held)
    losses = []
    for _ in range(150):
        graph.bind_input(plan, "x", x)
        graph.bind_input(plan, "t", labels)
        plan.forward()
        plan.backward()
        losses.append(float(plan.value["loss"]) / 40)
        held.values -= 0.1 * held.gradients / 40
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize("positions", [1, 49, 2048, 2049, 2304, 50_176])
@pytest.mark.parametrize("channels", [1, 3, 64])
def test_a_global_mean_in_float32_is_exact_for_any_number_of_positions(positions, channels):
    x = (100 + np.random.default_rng(0).normal(size=(2, positions, channels))).astype(np.float32)
    node = graph.input("x", (N, positions, channels))
    mean = GlobalAveragePool()(node)
    plan = Plan({"y": mean}, batch=2, loss=graph.sum(mean), wrt=[node])
    graph.bind_input(plan, "x", x)
    plan.forward()
    plan.backward()
    np.testing.assert_allclose(plan.value["y"], x.mean(axis=1, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(plan.gradient["x"], 1 / positions, rtol=1e-6)
