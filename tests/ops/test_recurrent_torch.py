"""Recurrent cells and the embedding against PyTorch: outputs and every gradient, over random sizes."""

from __future__ import annotations

import numpy as np
import pytest

from distnn import graph
from distnn.graph import N, Plan
from distnn.ops.embedding import Embedding
from distnn.ops.recurrent.cells import GRU, LSTM, SimpleRNN
from distnn.ops.recurrent.recurrence import Recurrence

torch = pytest.importorskip("torch", reason="needs PyTorch as an oracle; cure: pip install torch==2.13.0")

CELLS = {"rnn": (SimpleRNN, torch.nn.RNN), "gru": (GRU, torch.nn.GRU), "lstm": (LSTM, torch.nn.LSTM)}
LIMIT = {np.float64: 1e-10, np.float32: 1e-5}
every_type = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])


def draw_case(cell, seed, dtype):
    """Sizes, options and input arrays of one random case, by the op's names of its inputs."""
    generator = np.random.default_rng([seed, *map(ord, cell)])
    samples, steps, features, units = (int(generator.integers(1, most)) for most in (9, 13, 8, 10))
    options = {name: bool(generator.integers(2)) for name in ("state", "lengths")}
    op = Recurrence(CELLS[cell][0](), final=True, **options)
    shapes = op._expected((samples, steps, features), units)
    arrays = {name: generator.normal(0, 0.7, shape).astype(dtype) for name, shape in shapes.items()}
    arrays = {"x": generator.normal(size=(samples, steps, features)).astype(dtype)} | arrays
    if options["lengths"]:
        arrays["lengths"] = generator.integers(1, steps + 1, samples)
    upstream = generator.normal(size=(samples, steps + len(op.cell.states), units)).astype(dtype)
    return op, arrays, upstream


def ours(op, arrays, upstream):
    """The output and the gradients of Σ output · upstream."""
    per_sample = ("x", *op.cell.states, "lengths")
    nodes = {}
    for name, array in arrays.items():
        shape = (N, *array.shape[1:]) if name in per_sample else array.shape
        nodes[name] = graph.input(name, shape, integer=array.dtype.kind == "i")
    y = graph.apply(op, *nodes.values())
    weight = graph.input("upstream", y.shape)
    floats = [node for node in nodes.values() if not node.integer]
    loss = graph.sum(y * weight)
    plan = Plan({"y": y}, batch=len(upstream), loss=loss, wrt=floats, dtype=upstream.dtype)
    for name, array in {**arrays, "upstream": upstream}.items():
        graph.bind_input(plan, name, array)
    plan.forward()
    plan.backward()
    return plan.value["y"], plan.gradient


def load(module, arrays):
    """Our weights in PyTorch's module: transposed, and one bias next to zeros where we have only one."""
    biases = [arrays[name] for name in ("bias", "bias_input", "bias_recurrent") if name in arrays]
    given = [arrays["weight_input"].T, arrays["weight_recurrent"].T, biases[0], (*biases, 0 * biases[0])[1]]
    with torch.no_grad():
        for target, array in zip(module.parameters(), given, strict=True):
            target.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def theirs(cell, arrays, upstream):
    """The same by PyTorch, with packed sequences where lengths are given."""
    steps, features, units = *arrays["x"].shape[1:], len(arrays["weight_recurrent"])
    module = CELLS[cell][1](features, units, batch_first=True, dtype=torch.from_numpy(upstream).dtype)
    load(module, arrays)
    x, *states = (torch.from_numpy(arrays[name]).requires_grad_() for name in ("x", "h0", "c0") if name in arrays)
    fed = x
    if "lengths" in arrays:
        lengths = torch.from_numpy(arrays["lengths"])
        fed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    start = [state[None] for state in states]
    given = () if not start else (tuple(start),) if cell == "lstm" else (start[0],)
    y, final = module(fed, *given)
    if "lengths" in arrays:
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=steps)
    ends = [end[0][:, None] for end in (final if cell == "lstm" else (final,))]
    y = torch.cat([y, *ends], dim=1)
    (y * torch.from_numpy(upstream)).sum().backward()
    weights = [weight.grad.numpy() for weight in module.parameters()]
    biases = zip([name for name in arrays if name.startswith("bias")], weights[2:], strict=False)
    gradients = {"x": x.grad.numpy(), "weight_input": weights[0].T, "weight_recurrent": weights[1].T} | dict(biases)
    gradients |= {name: state.grad.numpy() for name, state in zip(("h0", "c0"), states, strict=False)}
    return y.detach().numpy(), gradients


def close(found, expected, limit, name):
    """Largest difference, relative to the largest value."""
    assert found.shape == expected.shape, name
    assert np.max(np.abs(found - expected)) < limit * max(1.0, float(np.max(np.abs(expected)))), name


@every_type
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("seed", range(40))
def test_a_cell_is_pytorchs(cell, seed, dtype):
    op, arrays, upstream = draw_case(cell, seed, dtype)
    y, gradients = ours(op, arrays, upstream)
    expected, their_gradients = theirs(cell, arrays, upstream)
    close(y, expected, LIMIT[dtype], "y")
    assert gradients.keys() == their_gradients.keys()
    for name, gradient in gradients.items():
        close(gradient, their_gradients[name], LIMIT[dtype], name)


@every_type
@pytest.mark.parametrize("seed", range(30))
def test_an_embedding_is_pytorchs(seed, dtype):
    generator = np.random.default_rng(seed)
    samples, steps, rows, width = (int(generator.integers(1, most)) for most in (70, 40, (3, 40, 400)[seed % 3], 30))
    tokens, table = generator.integers(0, rows, (samples, steps)), generator.normal(size=(rows, width)).astype(dtype)
    upstream = generator.normal(size=(samples, steps, width)).astype(dtype)
    tokens = tokens[:, 0] if seed % 2 else tokens
    upstream = upstream[:, 0] if seed % 2 else upstream
    nodes = [graph.input("tokens", (N, *tokens.shape[1:]), integer=True), graph.input("table", table.shape)]
    y = graph.apply(Embedding(), *nodes)
    loss = graph.sum(y * graph.input("upstream", y.shape))
    plan = Plan({"y": y}, batch=samples, loss=loss, wrt=nodes[1:], dtype=dtype)
    for name, array in {"tokens": tokens, "table": table, "upstream": upstream}.items():
        graph.bind_input(plan, name, array)
    plan.forward()
    plan.backward()
    weight = torch.from_numpy(table).requires_grad_()
    expected = torch.nn.functional.embedding(torch.from_numpy(tokens), weight)
    (expected * torch.from_numpy(upstream)).sum().backward()
    np.testing.assert_array_equal(plan.value["y"], expected.detach().numpy())
    close(plan.gradient["table"], weight.grad.numpy(), LIMIT[dtype], "table")
