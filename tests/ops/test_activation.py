"""Activations and losses at the edges: extremes, accuracy, what is refused, and what a plan allocates."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.special

from distnn import graph
from distnn.errors import ShapeError, UsageError
from distnn.graph import N, Plan
from distnn.kernels.normal import normal_tail
from distnn.ops import activation as activations
from distnn.ops import classification, loss
from distnn.ops.activation import Activation
from distnn.ops.by_name import activation

ACTIVATIONS = Activation.family.kinds
EXTREMES = np.array([-1e4, -300.0, -30.0, -1e-4, 0.0, 1e-4, 30.0, 300.0, 1e4], np.float32)
ELEMENTWISE = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.maximum(x, x / 10),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "softplus": lambda x: np.logaddexp(0, x),
    "gelu": lambda x: x * scipy.special.ndtr(x),
    "silu": lambda x: x * scipy.special.expit(x),
    "sigmoid": scipy.special.expit,
    "tanh": np.tanh,
}


def run(build, x, dtype):
    """y, and the derivative of Σ y for x."""
    node = graph.input("x", (N, *x.shape[1:]))
    y = build(node)
    total = graph.sum(y)
    plan = Plan({"y": y}, batch=len(x), loss=total, wrt=[node], dtype=dtype)
    graph.bind_input(plan, "x", x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan.forward()
        plan.backward()
    return plan.value["y"].copy(), plan.gradient["x"].copy()


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_from_minus_to_plus_ten_thousand_in_float32(name):
    found, slope = run(lambda x: graph.activate(x, name), EXTREMES, np.float32)
    expected = ELEMENTWISE[name](EXTREMES.astype(np.float64))
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-7)
    flat = 1 if name in ("sigmoid", "tanh") else slope[-1]
    assert slope[-1] == (0 if name in ("sigmoid", "tanh") else 1)
    assert slope[0] == pytest.approx(0.1 if name == "leaky_relu" else 0, abs=1e-6)
    assert flat == 1


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_rows_with_extremes_in_float32(name):
    rows = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [1e4, 1e4, 9999]], np.float32)
    found, slope = run(lambda x: graph.activate(x, name), rows, np.float32)
    expected = getattr(scipy.special, name)(rows.astype(np.float64), axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", ["gelu", "silu", "elu", "softplus"])
def test_tails_keep_their_relative_accuracy(name):
    x = np.linspace(-25, 25, 2001)
    found, _ = run(lambda x: graph.activate(x, name), x, np.float64)
    np.testing.assert_allclose(found, ELEMENTWISE[name](x), rtol=1e-12)
    single, _ = run(lambda x: graph.activate(x, name), x[700:].astype(np.float32), np.float32)
    np.testing.assert_allclose(single, ELEMENTWISE[name](x[700:]), rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize(("dtype", "least"), [(np.float32, -87), (np.float64, -708)])
def test_the_sigmoid_and_its_derivative_are_no_zeros_far_below_0(dtype, least):
    x = np.linspace(least, 0, 4001).astype(dtype)
    found, slope = run(graph.sigmoid, x, dtype)
    expected = scipy.special.expit(x.astype(np.float64))
    np.testing.assert_allclose(found, expected, rtol=2e-4)
    np.testing.assert_allclose(slope, expected * (1 - expected), rtol=2e-4)
    loss = run(lambda x: graph.binary_cross_entropy(x, x * 0), x[:1], dtype)
    np.testing.assert_allclose(loss[1], expected[:1], rtol=2e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_at_infinity_there_is_a_limit(name, dtype):
    ends = [run(lambda x: graph.activate(x, name), np.array([end]), dtype) for end in (-np.inf, np.inf)]
    found, slope = np.concatenate(ends, axis=1)
    above = 1 if name in ("sigmoid", "tanh") else np.inf
    below = {"leaky_relu": -np.inf, "elu": -1, "tanh": -1}.get(name, 0)
    np.testing.assert_array_equal(found, [below, above])
    np.testing.assert_array_equal(slope, np.array([0.1 if name == "leaky_relu" else 0, above == np.inf], dtype))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_scalars_are_taken_like_arrays(name):
    a = graph.input("a")
    for value in (-30.0, 0.7):
        result = graph.evaluate(graph.activate(a, name).named("y"), a=value)
        array, slope = run(lambda x: graph.activate(x, name), np.array([value]), np.float64)
        assert (result["y"], result.gradient["a"]) == (array[0], slope[0])


@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-14), (np.float32, 5e-7)])
def test_the_normal_tail_gives_the_error_function(dtype, error):
    x = np.linspace(0, 8, 100_001)
    tail, density, spare = (np.empty(x.shape, dtype) for _ in range(3))
    normal_tail((x * np.sqrt(2)).astype(dtype), tail, density, spare)
    np.testing.assert_allclose(1 - 2 * tail, scipy.special.erf(x), atol=error)
    normal_tail(x.astype(dtype), tail, density, spare)
    np.testing.assert_allclose(density, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), rtol=100 * error)
    np.testing.assert_allclose(tail, scipy.special.ndtr(-x), rtol=100 * error)


def test_pieces_of_an_activation_give_what_the_whole_gives():
    """As fused ops use them: rows bound one piece after the other, in place, with the largest piece's work for each."""
    generator = np.random.default_rng(0)
    for name in ACTIVATIONS:
        if (op := activation(name)) is None:
            continue
        x, dy = generator.normal(size=(2, 7, 5))
        asked = op.work(x.shape, x.shape), op.work((3, 5), (3, 5))
        work = {
            key: np.empty((whole if whole.span == "saved" else asked[1][key]).shape, whole.dtype or np.float64)
            for key, whole in asked[0].items()
        }
        y, dx = x.copy(), dy.copy()
        pairs = []
        for rows in (slice(0, 3), slice(3, 6), slice(6, 7)):
            room = {key: array[rows] if asked[0][key].span == "saved" else array for key, array in work.items()}
            pairs.append(op.bind(room, y[rows], y[rows], dx[rows], dx[rows]))
        for forward, _ in pairs:
            forward()
        for _, backward in pairs:
            backward()
        node, upstream = graph.input("x", (N, 5)), graph.input("dy", (N, 5))
        result = graph.activate(node, name)
        plan = Plan({"y": result}, batch=7, loss=graph.sum(result * upstream), wrt=[node], dtype=np.float64)
        graph.bind_input(plan, "x", x)
        graph.bind_input(plan, "dy", dy)
        plan.forward()
        plan.backward()
        np.testing.assert_allclose(y, plan.value["y"], rtol=1e-14, err_msg=name)
        np.testing.assert_allclose(dx, plan.gradient["x"], rtol=1e-14, atol=1e-15, err_msg=name)


def everything(x, t, labels, sequences):
    """Every activation, norm and loss of these files in one scalar."""
    parts = [graph.sum(graph.activate(x, name)) for name in ACTIVATIONS]
    parts += [graph.sum(graph.maxout(x, 4)), graph.sum(graph.layer_norm(x, graph.constant(np.ones(8)), np.zeros(8)))]
    parts += [
        graph.squared_error(x, t),
        graph.absolute_error(x, t),
        graph.huber(x, t),
        graph.binary_cross_entropy(x, t),
    ]
    cubes = graph.reshape(x, 2, 4)
    parts += [graph.cross_entropy(x, labels, smoothing=0.1), graph.cross_entropy(cubes, sequences, ignore=0)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def test_nothing_allocates():
    x, t = graph.input("x", (N, 8)), graph.input("t", (N, 8))
    labels, sequences = graph.input("l", (N,), integer=True), graph.input("s", (N, 2), integer=True)
    total = everything(x, t, labels, sequences)
    outputs = {"loss": total, "weight": graph.label_weight(sequences, weights=np.ones(4), ignore=0)}
    plan = Plan(outputs, batch=50_000, loss=total, wrt=[x])
    generator = np.random.default_rng(0)
    held = {"x": generator.normal(size=(50_000, 8)), "t": generator.uniform(size=(50_000, 8))}
    held |= {"l": generator.integers(0, 8, 50_000), "s": generator.integers(0, 4, (50_000, 2))}

    def step():
        for name, array in held.items():
            np.copyto(plan.value[name], array, casting="same_kind")
        plan.forward()
        plan.backward()

    step()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        step()
        growth = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert growth < 128 * 1024  # numpy's own buffers; an array of one number for each sample would take 200 KB


def test_blocks_of_a_gate_give_what_the_whole_gives():
    x = np.random.default_rng(0).normal(size=2 * activations.BLOCK + 5)
    whole, _ = run(graph.gelu, x, np.float64)
    parts = [run(graph.gelu, part, np.float64)[0] for part in np.split(x, [7, activations.BLOCK + 1])]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda: loss.Huber(0), UsageError, "Huber: delta is 0; expected a number above 0"),
        (
            lambda: classification.WeightedCrossEntropy(smoothing=2),
            UsageError,
            "smoothing is 2; expected a number from",
        ),
        (lambda: classification.LabelWeight([1, -1]), UsageError, r"class weights are \[1, -1\]; expected a number of"),
        (
            lambda: graph.cross_entropy(
                graph.input("z", (N, 4)), graph.input("t", (N,), integer=True), weights=[1, 2, 3]
            ),
            ShapeError,
            "weighted cross-entropy: 3 class weights for logits of 4 classes; give each one",
        ),
        (
            lambda: graph.cross_entropy(graph.input("z", (N, 5, 4)), graph.input("t", (N,), integer=True)),
            ShapeError,
            r"cross-entropy: logits \(N, 5, 4\) and labels \(N,\) do not fit; expected \(N, C\) and \(N,\), or for",
        ),
        (lambda: graph.softmax(graph.input("x")), ShapeError, r"softmax: the input has shape \(\); expected at least"),
    ],
)
def test_what_does_not_fit_is_named(build, error, text):
    with pytest.raises(error, match=text):
        build()
