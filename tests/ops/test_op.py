"""What ops have in common: integers outside their range are refused, and gradients selected; compiled as in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from distnn import graph
from distnn.errors import DataError, UsageError
from distnn.graph import N, Plan
from distnn.layers import GlobalMaxPool, MaxPool1D, MaxPool2D
from distnn.ops import classification
from distnn.ops.activation import LARGE
from distnn.ops.embedding import Embedding
from tests.support.kernels import both

COUNT, MOST = 4, np.iinfo(np.intp).max
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
@pytest.mark.parametrize("number", [COUNT, -1, 10**7, MOST, -MOST - 1])
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


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("number", [2, -1])
def test_a_label_of_a_third_of_two_classes_is_refused(number, integer):
    node = graph.correct(graph.input("x", (N, 1)), graph.input("t", (N,), integer=integer))
    with pytest.raises(DataError, match=rf"label {number}, at place \[2\] of its batch, is outside 0 … 1"):
        outcome(node, np.array([0, 1, number, number]))
    assert outcome(node, np.array([0, 1, 1])) == 1  # all inputs are 0: of equal ones the first class is taken


@pytest.mark.parametrize("op", [name for name in OPS if name != "embedding"])
def test_labels_that_are_no_integers_are_refused(op):
    with pytest.raises(UsageError, match="labels of the type float64; expected integers"):
        outcome(OPS[op](graph.input("t", (N,))), np.zeros(3))


def test_the_ignored_label_may_lie_outside():
    logits = graph.input("x", (N, COUNT))
    loss = graph.cross_entropy(logits, graph.input("t", (N,), integer=True), ignore=-100)
    assert outcome(loss, np.array([0, -100, 3])) == pytest.approx(2 * np.log(COUNT))


def gradient(build, x, number):
    """For x, where ``number`` flows into each element of y."""
    node = graph.input("x", (N, *x.shape[1:]))
    y = build(node)
    upstream = graph.input("upstream", y.shape)
    plan = Plan({}, batch=len(x), loss=graph.sum(y * upstream), wrt=[node])
    graph.bind_input(plan, "x", x)
    plan.value["upstream"].fill(number)
    plan.forward()
    plan.backward()
    return plan.gradient["x"].copy()


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (graph.relu, (4, 7)),
        (graph.relu, (16, LARGE // 16)),
        (MaxPool2D(2), (3, 4, 6, 5)),
        (MaxPool2D(3), (3, 7, 6, 5)),
        (MaxPool1D(2), (3, 7, 2)),
        (GlobalMaxPool(), (3, 4, 2)),
        (lambda x: graph.maxout(x, 3), (5, 6)),
    ],
)
@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_gradients_that_are_not_finite_stay_where_they_belong(build, shape, number):
    x = np.random.default_rng(0).normal(size=shape)
    chosen = gradient(build, x, 1.0)
    assert set(np.unique(chosen)) == {0, 1}
    np.testing.assert_array_equal(gradient(build, x, number), np.where(chosen == 1, np.float32(number), 0))
