"""Activations, maxout and layer norm against PyTorch: values and gradients."""

from __future__ import annotations

import numpy as np
import pytest

from distnn import graph
from distnn.graph import N, Plan
from distnn.layers import LayerNorm, name_parameters

torch = pytest.importorskip("torch", reason="needs PyTorch as an oracle; cure: pip install torch==2.13.0")
F = torch.nn.functional

PRECISION = {np.float64: 1e-10, np.float32: 1e-5}
both = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])

PAIRS = {
    "sigmoid": (graph.sigmoid, torch.sigmoid),
    "tanh": (graph.tanh, torch.tanh),
    "relu": (graph.relu, F.relu),
    "leaky_relu": (graph.leaky_relu, lambda x: F.leaky_relu(x, 0.1)),
    "leaky_relu 0.3": (lambda x: graph.leaky_relu(x, 0.3), lambda x: F.leaky_relu(x, 0.3)),
    "elu": (graph.elu, F.elu),
    "elu 0.5": (lambda x: graph.elu(x, 0.5), lambda x: F.elu(x, 0.5)),
    "softplus": (graph.softplus, lambda x: torch.logaddexp(x, torch.zeros_like(x))),
    "gelu": (graph.gelu, F.gelu),
    "silu": (graph.silu, F.silu),
    "softmax": (graph.softmax, lambda x: F.softmax(x, -1)),
    "log_softmax": (graph.log_softmax, lambda x: F.log_softmax(x, -1)),
    "maxout": (lambda x: graph.maxout(x, 4), lambda x: x.unflatten(-1, (4, -1)).amax(-2)),
}


def near(found, expected, dtype):
    assert np.abs(found - expected).max() <= PRECISION[dtype] * max(1, np.abs(expected).max())


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("spread", [1, 30])
@pytest.mark.parametrize("shape", [(1, 8), (50, 3, 32)], ids=str)
@both
def test_values_and_gradients(name, spread, shape, dtype):
    build, reference = PAIRS[name]
    generator = np.random.default_rng(0)
    x = spread * generator.normal(size=shape).astype(dtype)
    node = graph.input("x", (N, *shape[1:]))
    y = build(node)
    slope = generator.normal(size=(len(x), *y.shape[1:])).astype(dtype)
    loss = graph.sum(y * graph.input("slope", y.shape))
    plan = Plan({"y": y}, batch=len(x), loss=loss, wrt=[node], dtype=dtype)
    graph.bind_input(plan, "x", x)
    graph.bind_input(plan, "slope", slope)
    plan.forward()
    plan.backward()
    tensor = torch.tensor(x, requires_grad=True)
    expected = reference(tensor)
    expected.backward(torch.tensor(slope))
    near(plan.value["y"], expected.detach().numpy(), dtype)
    near(plan.gradient["x"], tensor.grad.numpy(), dtype)


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("shape", [(1, 4, 5), (33, 7, 16)], ids=str)
@both
def test_layer_norm(axes, shape, dtype):
    generator = np.random.default_rng(1)
    node = graph.input("x", (N, *shape[1:]))
    y = LayerNorm(axes)(node)
    loss = graph.sum(y * graph.input("slope", (N, *shape[1:])))
    name_parameters([loss])
    held = graph.initialize([loss], dtype=dtype)
    for value in held.value.values():
        value[...] = generator.normal(size=value.shape)
    plan = Plan({"y": y}, batch=shape[0], loss=loss, parameters=held, wrt=[node], dtype=dtype)
    x, slope = (generator.normal(size=shape).astype(dtype) for _ in range(2))
    graph.bind_input(plan, "x", 3 * x + 2)
    graph.bind_input(plan, "slope", slope)
    plan.forward()
    plan.backward()
    theirs = torch.nn.LayerNorm(shape[-axes:], dtype=torch.tensor(x).dtype)
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(held.value["layernorm1.gain"]))
        theirs.bias.copy_(torch.tensor(held.value["layernorm1.bias"]))
    tensor = torch.tensor(3 * x + 2, requires_grad=True)
    expected = theirs(tensor)
    expected.backward(torch.tensor(slope))
    near(plan.value["y"], expected.detach().numpy(), dtype)
    near(plan.gradient["x"], tensor.grad.numpy(), dtype)
    near(held.gradient["layernorm1.gain"], theirs.weight.grad.numpy(), dtype)
    near(held.gradient["layernorm1.bias"], theirs.bias.grad.numpy(), dtype)
