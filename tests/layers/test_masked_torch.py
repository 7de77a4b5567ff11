"""Sequences of different lengths through whole networks, against PyTorch's packed sequences and its ignored label."""

from __future__ import annotations

import numpy as np
import pytest

from distnn import graph
from distnn.graph import N, Plan
from distnn.layers import GRU, LSTM, Dense, Embedding, SimpleRNN, name_parameters

torch = pytest.importorskip("torch", reason="needs PyTorch as an oracle; cure: pip install torch==2.13.0")

CELLS = {"rnn": (SimpleRNN, torch.nn.RNN), "gru": (GRU, torch.nn.GRU), "lstm": (LSTM, torch.nn.LSTM)}
STEPS, TOKENS, UNITS, IGNORED = 9, 11, (5, 4), 99
LENGTHS = np.array([9, 1, 4, 7, 4])


def network(cell, last):
    """Embedding, two recurrent layers and a dense one; the loss of every step, or of each sample's last."""
    x = graph.input("x", (N, STEPS), integer=True)
    lengths = graph.input("lengths", (N,), integer=True)
    y = graph.input("y", (N,) if last else (N, STEPS), integer=True)
    h = CELLS[cell][0](UNITS[0])(Embedding(TOKENS, 3)(x), lengths=lengths)
    h = CELLS[cell][0](UNITS[1], last=last)(h, lengths=lengths)
    loss = graph.cross_entropy(Dense(TOKENS)(h), y, ignore=None if last else IGNORED)
    name_parameters([loss])
    return loss


def ours(cell, last, values, dtype):
    loss = network(cell, last)
    held = graph.initialize([loss], dtype=dtype)
    plan = Plan({"loss": loss}, batch=len(LENGTHS), loss=loss, parameters=held, dtype=dtype)
    for name, array in values.items():
        graph.bind_input(plan, name, array)
    plan.forward()
    plan.backward()
    return float(plan.value["loss"]), held


def twin(cell, held):
    """PyTorch's modules with our values, and for each trained tensor the name and layout of ours."""
    values = {name: torch.from_numpy(array.T.copy()) for name, array in held.value.items()}
    embedding = torch.nn.Embedding.from_pretrained(values["embedding1.weight"].T.contiguous(), freeze=False)
    modules, pairs = [embedding], [("embedding1.weight", embedding.weight)]
    kind = {"rnn": "simplernn"}.get(cell, cell)
    for place, (inputs, units) in enumerate(((3, UNITS[0]), UNITS), 1):
        module = CELLS[cell][1](inputs, units, batch_first=True, dtype=values["dense1.bias"].dtype)
        biases = ("bias_input", "bias_recurrent") if cell == "gru" else ("bias",)
        names = [f"{kind}{place}.{role}" for role in ("weight_input", "weight_recurrent", *biases)]
        with torch.no_grad():
            module.bias_hh_l0.zero_()
            for name, tensor in zip(names, module.parameters(), strict=False):
                tensor.copy_(values[name])
                pairs.append((name, tensor))
        modules.append(module)
    dense = torch.nn.Linear(UNITS[1], TOKENS, dtype=values["dense1.bias"].dtype)
    with torch.no_grad():
        dense.weight.copy_(values["dense1.weight"])
        dense.bias.copy_(values["dense1.bias"])
    return [*modules, dense], [*pairs, ("dense1.weight", dense.weight), ("dense1.bias", dense.bias)]


def theirs(cell, last, values, held):
    (embedding, *cells, dense), pairs = twin(cell, held)
    h = embedding(torch.from_numpy(values["x"]))
    for module in cells:
        packed = torch.nn.utils.rnn.pack_padded_sequence(h, torch.from_numpy(LENGTHS), True, enforce_sorted=False)
        h, state = module(packed)
        h, _ = torch.nn.utils.rnn.pad_packed_sequence(h, batch_first=True, total_length=STEPS)
    if last:
        h = (state[0] if cell == "lstm" else state)[0]
    logits, labels = dense(h).reshape(-1, TOKENS), torch.from_numpy(values["y"]).reshape(-1)
    loss = torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
    loss.backward()
    gradients = {name: tensor.grad.numpy().T for name, tensor in pairs}
    return loss.item(), gradients | {"embedding1.weight": embedding.weight.grad.numpy()}


@pytest.mark.parametrize(("dtype", "limit"), [(np.float64, 1e-10), (np.float32, 1e-5)])
@pytest.mark.parametrize("last", [False, True], ids=["every step", "last step"])
@pytest.mark.parametrize("cell", CELLS)
def test_padded_sequences_train_as_pytorchs_packed_ones(cell, last, dtype, limit):
    random = np.random.default_rng(0)
    values = {"x": random.integers(0, TOKENS, (5, STEPS)), "lengths": LENGTHS}
    values["y"] = random.integers(0, TOKENS, 5 if last else (5, STEPS))
    if not last:
        values["y"][np.arange(STEPS) >= LENGTHS[:, None]] = IGNORED
    loss, held = ours(cell, last, values, dtype)
    expected, gradients = theirs(cell, last, values, held)
    assert loss == pytest.approx(expected, rel=limit)
    assert gradients.keys() == held.gradient.keys()
    for name, gradient in gradients.items():
        difference = np.max(np.abs(held.gradient[name] - gradient))
        assert difference < limit * max(1.0, float(np.max(np.abs(gradient)))), name
