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


#: Without the cancellation that F.gelu's own derivative has.
FAR = {"gelu": lambda x: x * torch.special.log_ndtr(x).exp()}


@pytest.mark.parametrize("name", ["elu", "elu 0.5", "softplus", "gelu", "silu", "sigmoid", "tanh"])
@both
def test_far_out_values_and_derivatives_keep_their_relative_accuracy(name, dtype):
    """Against float64; but 1 − y of a y next to 1, from which sigmoid and tanh take theirs, is PyTorch's as well."""
    x = np.linspace(-700, 700, 14_001).astype(dtype)
    node = graph.input("x", (N,))
    y = PAIRS[name][0](node)
    plan = Plan({"y": y}, batch=len(x), loss=graph.sum(y), wrt=[node], dtype=dtype)
    graph.bind_input(plan, "x", x)
    plan.forward()
    plan.backward()
    tensor = torch.tensor(x.astype(np.float64), requires_grad=True)
    expected = FAR.get(name, PAIRS[name][1])(tensor)
    expected.backward(torch.ones_like(expected))
    least, rough = np.finfo(dtype).tiny, {np.float64: 1e-7, np.float32: 4e-4}[dtype]
    slope = tensor.grad.numpy()
    for found, wanted, steep in ((plan.value["y"], expected.detach().numpy(), 0), (plan.gradient["x"], slope, 1)):
        kept = (np.abs(wanted) > least) & ((x < 0) if steep and name == "sigmoid" else True)
        kept &= (np.abs(x) < 4) if steep and name == "tanh" else True
        np.testing.assert_allclose(found[kept], wanted[kept], rtol=rough)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=4 * np.finfo(dtype).eps)
