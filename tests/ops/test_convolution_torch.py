"""Convolutions and pooling against PyTorch, over random shapes and options, in one block and in many."""

from __future__ import annotations

import numpy as np
import pytest

from distnn import graph
from distnn.graph import N, Plan
from distnn.ops import blocks
from distnn.ops.conv import direct
from distnn.ops.conv.convolution import Conv1D, Conv2D
from distnn.ops.pooling import AveragePool1D, AveragePool2D, GlobalAveragePool, GlobalMaxPool, MaxPool1D, MaxPool2D

torch = pytest.importorskip("torch", reason="needs PyTorch as an oracle; cure: pip install torch==2.13.0")
functional = torch.nn.functional


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """More would spend their time on waking each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def ours(op, values, upper, dtype):
    """[y, a gradient for each of ``values``] for J = Σ y · upper; the plan runs twice, so that stale work shows."""
    nodes = [graph.input(name, (N, *v.shape[1:]) if name == "x" else v.shape) for name, v in values.items()]
    y = graph.apply(op, *nodes)
    loss = graph.sum(y * graph.input("upper", y.shape))
    plan = Plan({"y": y}, batch=len(values["x"]), loss=loss, wrt=nodes, dtype=dtype)
    for scale in (3.0, 1.0):
        for name, value in {**values, "upper": upper}.items():
            graph.bind_input(plan, name, value * scale)
        plan.forward()
        plan.backward()
    return [plan.value["y"], *(plan.gradient[name] for name in values)]


def theirs(function, values, upper, dtype):
    """The same by PyTorch; ``function`` takes and gives channels last."""
    tensors = [torch.tensor(value.astype(dtype), requires_grad=True) for value in values.values()]
    y = function(*tensors)
    (y * torch.tensor(upper.astype(dtype))).sum().backward()
    return [array.detach().numpy() for array in (y, *(tensor.grad for tensor in tensors))]


def compare(op, function, values, seed):
    """Both, in float64 and float32: the largest difference relative to the array's largest element."""
    shape = op.shape((N, *values["x"].shape[1:]), *(v.shape for name, v in values.items() if name != "x"))
    upper = np.random.default_rng(seed).normal(size=(len(values["x"]), *shape[1:]))
    for dtype, bound in ((np.float64, 1e-10), (np.float32, 1e-5)):
        pairs = zip(ours(op, values, upper, dtype), theirs(function, values, upper, dtype), strict=True)
        for name, (mine, other) in zip(("y", *values), pairs, strict=True):
            assert mine.shape == other.shape, name
            # Where padding is all that a window sees, both are nothing but zeros.
            assert np.abs(mine - other).max() <= bound * max(np.abs(other).max(), 1e-30), (name, dtype)


def channels_last(function, axes):
    """``function`` of (N, C, …) as one of (N, …, C)."""
    first, last = (0, axes + 1, *range(1, axes + 1)), (0, *range(2, axes + 2), 1)
    return lambda x, *rest: function(x.permute(first).contiguous(), *rest).permute(last)


def in_small_blocks(monkeypatch, place):
    """Two of three combinations are cut into many blocks, of images and of rows."""
    if place % 3:
        monkeypatch.setattr(blocks, "BLOCK", (150, 1500)[place % 3 - 1])
        monkeypatch.setattr(blocks, "LEAST", 1)


def combination(seed, axes, wide=False):
    """An op with random options, values that fit it, and PyTorch's function of them; wide: as is compiled."""
    draw = np.random.default_rng(seed)
    groups = 1 if wide else int(draw.choice([1, 1, 1, 2, 3]))
    channels, outputs = (groups * int(draw.integers(1, 4)) for _ in range(2))
    if draw.random() < 0.15:
        groups = outputs = channels
    if wide:
        groups, channels, outputs = 1, int(draw.choice([channels, 16, 32])), 16 * outputs
    most = 5, int(draw.choice([2, 4])), int(draw.choice([2, 4]))
    kernel, stride, dilation = (draw.integers(1, high, axes).tolist() for high in most)
    lengths, pads, padding = fitting(draw, axes, kernel, stride, dilation)
    one = (lambda v: v) if axes == 2 else (lambda v: v[0])
    op = (Conv2D if axes == 2 else Conv1D)(one(stride), padding, one(dilation), groups)
    values = {"x": draw.normal(size=(int(draw.integers(1, 6)), *lengths, channels))}
    values["weight"] = draw.normal(size=(*kernel, channels // groups, outputs))
    if draw.random() < 0.7:
        values["bias"] = draw.normal(size=outputs)
    border = [side for pad in reversed(pads) for side in pad]
    convolve = functional.conv2d if axes == 2 else functional.conv1d

    def function(x, weight, bias=None):
        weight = weight.permute(axes + 1, axes, *range(axes)).contiguous()
        return convolve(functional.pad(x, border), weight, bias, stride, 0, dilation, groups)

    return op, values, channels_last(function, axes)


def fitting(draw, axes, kernel, stride, dilation):
    """A random size that leaves some output, its padding spelled out, and the padding as it is asked for."""
    pads = (draw.integers(0, 4, (axes, 2)) * (draw.random() < 0.6)).tolist()
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    lengths = [max(1, r - sum(pad)) + int(draw.integers(0, 9)) for r, pad in zip(reach, pads, strict=True)]
    if draw.random() < 0.3:
        return lengths, same(lengths, reach, stride), "same"
    return lengths, pads, pads if axes == 2 else pads[0]


def same(lengths, reach, stride):
    """TensorFlow's padding: https://www.tensorflow.org/api_docs/python/tf/nn."""
    totals = [
        max(r - s, 0) if length % s == 0 else max(r - length % s, 0)
        for length, r, s in zip(lengths, reach, stride, strict=True)
    ]
    return [[total // 2, total - total // 2] for total in totals]


@pytest.mark.parametrize("place", range(220))
def test_conv2d(place, monkeypatch):
    in_small_blocks(monkeypatch, place)
    op, values, function = combination([2, place], 2)
    compare(op, function, values, place)


@pytest.mark.parametrize("place", range(90))
def test_conv2d_compiled(place, monkeypatch):
    pytest.importorskip("numba", reason="needs numba; cure: pip install '.[fast]'")
    monkeypatch.setattr(direct, "LEAST_WORK", 0)
    in_small_blocks(monkeypatch, place)
    op, values, function = combination([3, place], 2, wide=True)
    shapes = [value.shape for value in values.values()]
    assert op.compiles(op.shape(*shapes), *shapes) == {"products"}
    compare(op, function, values, place)


@pytest.mark.parametrize("place", range(60))
def test_conv1d(place, monkeypatch):
    in_small_blocks(monkeypatch, place)
    op, values, function = combination([1, place], 1)
    compare(op, function, values, place)


def pooling(seed, axes, kind, ties):
    """A pool with random options, an image, and PyTorch's function of it; with ties, of a few integers."""
    draw = np.random.default_rng(seed)
    window = draw.integers(1, 5, axes).tolist()
    stride = window if draw.random() < 0.5 else draw.integers(1, 5, axes).tolist()
    lengths = [w + int(draw.integers(0, 9)) for w in window]
    pads = [[0, 0]] * axes
    if padded := draw.random() < 0.4:
        pads = same(lengths, window, stride)
    shape = (int(draw.integers(1, 6)), *lengths, int(draw.integers(1, 5)))
    x = draw.integers(-2, 3, shape).astype(float) if ties else draw.normal(size=shape)
    kinds = {"max": (MaxPool1D, MaxPool2D), "average": (AveragePool1D, AveragePool2D)}
    op = kinds[kind][axes - 1](
        *(window, stride) if axes == 2 else (window[0], stride[0]), "same" if padded else "valid"
    )
    sides = [side for pad in reversed(pads) for side in pad]
    largest, mean = (
        (functional.max_pool1d, functional.avg_pool1d),
        (functional.max_pool2d, functional.avg_pool2d),
    )[axes - 1]

    def function(x):
        if kind == "max":
            return largest(functional.pad(x, sides, value=-np.inf), window, stride)
        seen = mean(functional.pad(torch.ones_like(x), sides), window, stride)
        return mean(functional.pad(x, sides), window, stride) / seen

    return op, {"x": x}, channels_last(function, axes)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("place", range(25))
def test_pooling(place, kind, axes, ties, monkeypatch):
    in_small_blocks(monkeypatch, place)
    op, values, function = pooling([3, place, axes], axes, kind, ties)
    compare(op, function, values, place)


@pytest.mark.parametrize("shape", [(5, 4, 3, 2), (1, 7, 7, 1), (3, 11, 4), (2, 1, 1, 5), (300, 3, 3, 2)])
@pytest.mark.parametrize("ties", [False, True])
def test_global_pooling(shape, ties, monkeypatch):
    in_small_blocks(monkeypatch, shape[0])
    draw = np.random.default_rng(4)
    values = {"x": draw.integers(-2, 3, shape).astype(float) if ties else draw.normal(size=shape)}
    axes = tuple(range(1, len(shape) - 1))
    compare(GlobalAveragePool(), lambda x: x.mean(axes), values, 0)
    compare(GlobalMaxPool(), lambda x: x.flatten(1, -2).max(1).values, values, 0)
