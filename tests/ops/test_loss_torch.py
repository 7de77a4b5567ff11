"""Losses against PyTorch: sums and their gradients, and the mean by way of the weight."""

from __future__ import annotations

import numpy as np
import pytest

from distnn import graph
from distnn.graph import N, Plan

torch = pytest.importorskip("torch", reason="needs PyTorch as an oracle; cure: pip install torch==2.13.0")
F = torch.nn.functional

CLASSES = 7
WEIGHTS = np.random.default_rng(5).uniform(0.2, 3, CLASSES)
#: The largest difference that is let pass, relative to the largest element.
PRECISION = {np.float64: 1e-10, np.float32: 1e-5}
both = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
batches = pytest.mark.parametrize("batch", [1, 19])


def ours(build, arrays, dtype, wrt, **counts):
    """Values of the loss and the counts, and the gradients for the inputs ``wrt``."""
    nodes = {
        name: graph.input(name, (N, *array.shape[1:]), integer=array.dtype.kind == "i")
        for name, array in arrays.items()
    }
    loss = build(*nodes.values())
    outputs = {"loss": loss} | {name: count(*nodes.values()) for name, count in counts.items()}
    batch = len(next(iter(arrays.values())))
    plan = Plan(outputs, batch=batch, loss=loss, wrt=[nodes[name] for name in wrt], dtype=dtype)
    for name, array in arrays.items():
        graph.bind_input(plan, name, array.astype(dtype) if array.dtype.kind == "f" else array)
    plan.forward()
    plan.backward()
    return {name: plan.value[name].copy() for name in outputs}, plan.gradient


def theirs(build, arrays, dtype, wrt):
    tensors = {
        name: torch.tensor(array.astype(dtype) if array.dtype.kind == "f" else array) for name, array in arrays.items()
    }
    for name in wrt:
        tensors[name].requires_grad_()
    loss = build(*tensors.values())
    loss.backward()
    return loss.detach().numpy(), {name: tensors[name].grad.numpy() for name in wrt}


def near(found, expected, dtype):
    scale = max(np.abs(expected).max(), 1e-30)
    assert np.abs(found - expected).max() <= PRECISION[dtype] * scale


def compare(build, reference, arrays, dtype, wrt, **counts):
    values, gradients = ours(build, arrays, dtype, wrt, **counts)
    expected, expected_gradients = theirs(reference, arrays, dtype, wrt)
    near(values["loss"], expected, dtype)
    for name in wrt:
        near(gradients[name], expected_gradients[name], dtype)
    return values


REGRESSION = {
    "squared": (graph.squared_error, lambda p, t: F.mse_loss(p, t, reduction="sum")),
    "absolute": (graph.absolute_error, lambda p, t: F.l1_loss(p, t, reduction="sum")),
    "huber": (graph.huber, lambda p, t: F.huber_loss(p, t, reduction="sum")),
    "huber 0.3": (lambda p, t: graph.huber(p, t, 0.3), lambda p, t: F.huber_loss(p, t, reduction="sum", delta=0.3)),
}


@pytest.mark.parametrize("name", REGRESSION)
@batches
@both
def test_regression(name, batch, dtype):
    generator = np.random.default_rng(0)
    arrays = {"p": generator.normal(size=(batch, 3, 2)), "t": generator.normal(size=(batch, 3, 2))}
    compare(*REGRESSION[name], arrays, dtype, ["p", "t"])


@pytest.mark.parametrize("hard", [True, False])
@batches
@both
def test_binary_cross_entropy(hard, batch, dtype):
    generator = np.random.default_rng(1)
    t = generator.uniform(size=(batch, 4))
    arrays = {"z": 8 * generator.normal(size=(batch, 4)), "t": np.round(t) if hard else t}
    compare(
        graph.binary_cross_entropy,
        lambda z, t: F.binary_cross_entropy_with_logits(z, t, reduction="sum"),
        *(arrays, dtype, ["z"]),
    )


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weights"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("ignore", [None, -100, 2])
@pytest.mark.parametrize("length", [None, 5], ids=["samples", "sequences"])
@batches
@both
def test_cross_entropy(weights, smoothing, ignore, length, batch, dtype):
    generator = np.random.default_rng(2)
    shape = (batch,) if length is None else (batch, length)
    labels = generator.integers(0, CLASSES, shape)
    if ignore is not None and length is not None:
        labels[generator.random(shape) < 0.3] = ignore
    arrays = {"z": 4 * generator.normal(size=(*shape, CLASSES)), "t": labels}

    def reference(z, t, reduction="sum"):
        return F.cross_entropy(
            *(z.reshape(-1, CLASSES), t.reshape(-1)),
            weight=None if weights is None else torch.tensor(weights.astype(dtype)),
            ignore_index=-1 if ignore is None else ignore,
            label_smoothing=smoothing,
            reduction=reduction,
        )

    values = compare(
        lambda z, t: graph.cross_entropy(z, t, weights=weights, smoothing=smoothing, ignore=ignore),
        *(reference, arrays, dtype, ["z"]),
        weight=lambda z, t: graph.label_weight(t, weights=weights, ignore=ignore),
        correct=lambda z, t: graph.correct(z, t, ignore=ignore),
    )
    counted = labels != (-1 if ignore is None else ignore)
    assert values["correct"] == np.sum((arrays["z"].astype(dtype).argmax(-1) == labels) & counted)
    mean = reference(torch.tensor(arrays["z"].astype(dtype)), torch.tensor(labels), "mean").numpy()
    if values["weight"]:
        near(values["loss"] / values["weight"], mean, dtype)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("worst", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_logits_of_ignored_rows_do_not_count_whatever_they_are(worst, smoothing):
    z, t = np.random.default_rng(4).normal(size=(6, CLASSES)), np.array([0, -100, 3, -100, 6, 1])
    z[1], z[3, 2] = worst, worst
    compare(
        lambda z, t: graph.cross_entropy(z, t, smoothing=smoothing, ignore=-100),
        lambda z, t: F.cross_entropy(z[t >= 0], t[t >= 0], label_smoothing=smoothing, reduction="sum"),
        *({"z": z, "t": t}, np.float64, ["z"]),
    )


@pytest.mark.parametrize("options", [{}, {"weights": WEIGHTS}, {"ignore": 2}], ids=str)
def test_classes_masked_by_minus_infinity_have_the_probability_0(options):
    z, t = np.random.default_rng(4).normal(size=(6, CLASSES)), np.array([0, 1, 0, 1, 2, 0])
    z[:, 4:] = -np.inf
    compare(
        lambda z, t: graph.cross_entropy(z, t, **options),
        lambda z, t: F.cross_entropy(
            *(z, t, torch.tensor(WEIGHTS) if "weights" in options else None),
            ignore_index=options.get("ignore", -100),
            reduction="sum",
        ),
        *({"z": z, "t": t}, np.float64, ["z"]),
    )


def test_ignored_labels_alone_give_zero_and_no_gradient():
    arrays = {"z": np.random.default_rng(3).normal(size=(4, 6, CLASSES)), "t": np.full((4, 6), -100)}
    values, gradients = ours(
        lambda z, t: graph.cross_entropy(z, t, smoothing=0.1, ignore=-100),
        *(arrays, np.float64, ["z"]),
        weight=lambda z, t: graph.label_weight(t, ignore=-100),
    )
    assert values == {"loss": 0, "weight": 0}
    assert not gradients["z"].any()
