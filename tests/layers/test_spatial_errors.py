"""What convolution and pooling layers say when something doesn't fit."""

from __future__ import annotations

import numpy as np
import pytest

from distnn import graph
from distnn.errors import ShapeError, UsageError
from distnn.graph import N
from distnn.layers import Conv1D, Conv2D, GlobalAveragePool, MaxPool1D, MaxPool2D, Sequential
from distnn.ops.conv import convolution


def image(*shape):
    return graph.input("x", (N, *shape))


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (
            lambda: Conv2D(8, 5, name="late")(image(4, 9, 3)),
            ShapeError,
            r"Conv2D\(8, 5, name='late'\) on \(N, 4, 9, 3\): conv2d: the window eats the image: its height of 4, with "
            r"padding 0 before and 0 after, is 4, but a kernel of 5 with dilation 1 reaches over 5 \(stride 1\)",
        ),
        (
            lambda: Conv1D(8, 3, dilation=4, stride=2, padding=(1, 2))(image(5, 3)),
            ShapeError,
            r"Conv1D\(8, 3\) on \(N, 5, 3\): conv1d: .* its length of 5, with padding 1 before and 2 after, is 8, but "
            r"a kernel of 3 with dilation 4 reaches over 9 \(stride 2\)",
        ),
        (
            lambda: Sequential(*(MaxPool2D() for _ in range(5)))(image(28, 28, 1)),
            ShapeError,
            r"MaxPool2D\(2, name='maxpool2d5'\) on \(N, 1, 1, 1\): maxpool2d: the window eats the image: its height "
            "of 1, with",
        ),
        (
            lambda: Conv2D(8)(image(784)),
            ShapeError,
            r"Conv2D\(8, 3\) on \(N, 784\): conv2d: x has shape \(N, 784\); expected \(N, H, W, C\)",
        ),
        (
            lambda: MaxPool2D()(image(28, 28)),
            ShapeError,
            r"MaxPool2D\(2\) on \(N, 28, 28\): .* expected \(N, H, W, C\); add an axis for one channel, \(N, H, W, 1\)",
        ),
        (
            lambda: GlobalAveragePool(name="mean")(image(7)),
            ShapeError,
            r"GlobalAveragePool\(name='mean'\) on \(N, 7\): .* expected \(N, …, C\)",
        ),
        (
            lambda: Conv2D(8, groups=2)(image(9, 9, 3)),
            ShapeError,
            r"Conv2D\(8, 3\) on \(N, 9, 9, 3\): 3 channels can't be split into 2 groups evenly",
        ),
        (lambda: Conv2D(9, groups=2)(image(9, 9, 4)), ShapeError, "9 outputs can't be split into 2 groups evenly"),
        (
            lambda: graph.apply(convolution.Conv2D(), image(9, 9, 4), image(3), image(3)),
            ShapeError,
            r"weight has shape \(N, 3\); expected \(kh, kw, C / groups, O\)",
        ),
        (
            lambda: graph.apply(convolution.Conv1D(), image(9, 2), np.ones((3, 2, 4)), np.ones(5)),
            ShapeError,
            r"conv1d: bias has shape \(5,\); expected \(4,\)",
        ),
        (lambda: Conv2D(0), UsageError, "Conv2D: filters is 0; expected an integer of at least 1"),
        (lambda: Conv2D(8, 0), UsageError, "kernel is 0; expected a number from 1 or a pair of them"),
        (lambda: Conv1D(8, (3, 3)), UsageError, r"Conv1D: kernel is \(3, 3\); expected an integer of at least 1"),
        (lambda: Conv2D(8, stride=(1, 0)), UsageError, r"stride is \(1, 0\); expected"),
        (lambda: Conv2D(8, groups=0), UsageError, "Conv2D: groups is 0; expected an integer of at least 1"),
        (
            lambda: Conv2D(8, padding="sane"),
            UsageError,
            r"padding is 'sane' \(did you mean 'same'\?\); expected 'same'",
        ),
        (lambda: Conv2D(8, padding=-1), UsageError, "padding is -1; expected 'same', 'valid', a number from 0"),
        (lambda: Conv2D(8, kernel=2.5), UsageError, "kernel is 2.5; expected a number from 1"),
        (lambda: Conv2D(8, padding=((1, 2), 3)), UsageError, r"padding is \(\(1, 2\), 3\); expected 'same'"),
        (lambda: Conv2D(8, padding=(1, 2, 3)), UsageError, r"padding is \(1, 2, 3\)"),
        (lambda: Conv1D(8, padding=((1, 2), (3, 4))), UsageError, r"or \(before, after\)"),
        (lambda: MaxPool2D(2, padding=1), UsageError, "padding is 1; pooling takes 'same' or 'valid'"),
        (lambda: MaxPool1D(2, 0), UsageError, "MaxPool1D: stride is 0; expected an integer of at least 1"),
        (lambda: Conv2D(8, 3, "rellu"), UsageError, "unknown activation 'rellu'"),
        (lambda: Conv2D(8, initialization="hee"), UsageError, "unknown initialization 'hee'"),
    ],
)
def test_what_does_not_fit_is_named(build, error, text):
    with pytest.raises(error, match=text):
        build()


def test_a_layer_called_on_other_channels_names_both():
    layer = Conv2D(8)
    layer(image(9, 9, 3))
    with pytest.raises(ShapeError, match="x has 5 channels, but the weight takes 3 in each of 1 group, 3 in all"):
        layer(image(9, 9, 5))
