"""Integers that ops take for places in memory: those outside are refused, compiled as in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from distnn import graph
from distnn.errors import DataError, UsageError
from distnn.graph import N, Plan
from distnn.ops import classification
from distnn.ops.embedding import Embedding
from tests.support.kernels import both

COUNT, LARGE = 4, np.iinfo(np.intp).max
WEIGHTS = [1.0, 2.0, 0.5, 1.0]
#: From the node of the integers to the op's; each takes 0 … 3 and names what it refuses.
OPS = {
    "cross-entropy": lambda t: graph.cross_entropy(graph.input("x", (*t.shape, COUNT)), t),
    "weights": lambda t: graph.cross_entropy(graph.input("x", (*t.shape, COUNT)), t, weights=WEIGHTS),
    "smoothing": lambda t: graph.cross_entropy(graph.input("x", (*t.shape, COUNT)), t, smoothing=0.1, ignore=-100),
    "weight": lambda t: graph.label_weight(t, weights=WEIGHTS),
    "embedding": lambda t: graph.apply(Embedding(), t, graph.input("x", (COUNT, 2))),
}


def outcome(node, numbers):
    plan = Plan({"y": node}, batch=len(numbers), dtype=np.float64)
    graph.bind_input(plan, "t", numbers)
    if "x" in plan.value:
        plan.value["x"].fill(0)
    plan.forward()
    return plan.value["y"]


@pytest.mark.parametrize("kernels", both("softmax"))
@pytest.mark.parametrize("number", [COUNT, -1, 10**7, LARGE, -LARGE - 1])
@pytest.mark.parametrize("op", OPS)
def test_a_number_outside_is_named_with_its_place(op, number, kernels, monkeypatch):
    monkeypatch.setattr(classification, "joined", lambda name: kernels)
    single, steps = (OPS[op](graph.input("t", shape, integer=True)) for shape in ((N,), (N, 3)))
    what = rf"(label|token) {number}, at place \[{{}}\] of its batch, is outside 0 … 3"
    with pytest.raises(DataError, match=what.format("2")):
        outcome(single, np.array([0, 3, number, number]))
    with pytest.raises(DataError, match=what.format("1, 0")):
        outcome(steps, np.array([[0, 3, 1], [number, 0, 0]]))
    assert np.isfinite(outcome(steps, np.array([[0, 3, 1], [2, 0, 0]]))).all()


@pytest.mark.parametrize("op", [name for name in OPS if name != "embedding"])
def test_labels_that_are_no_integers_are_refused(op):
    with pytest.raises(UsageError, match="labels of the type float64; expected integers"):
        outcome(OPS[op](graph.input("t", (N,))), np.zeros(3))


def test_the_ignored_label_may_lie_outside():
    logits = graph.input("x", (N, COUNT))
    loss = graph.cross_entropy(logits, graph.input("t", (N,), integer=True), ignore=-100)
    assert outcome(loss, np.array([0, -100, 3])) == pytest.approx(2 * np.log(COUNT))
