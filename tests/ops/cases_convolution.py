"""Cases of convolutions, against the sum of the definition, written out with loops over positions."""

from __future__ import annotations

import numpy as np
import scipy.special

from distnn.graph import N
from distnn.ops.activation import Sigmoid, Tanh
from distnn.ops.conv.convolution import Conv1D, Conv2D
from distnn.ops.gated import SiLU
from tests.support.ops import Case

ABSTRACT: set[type] = set()


def convolution(stride=(1, 1), pads=((0, 0), (0, 0)), dilation=(1, 1), groups=1, then=lambda y: y):
    """The formula of Conv2D with the padding spelled out."""

    def compute(x, w, b=0.0):
        x = np.pad(x, ((0, 0), *pads, (0, 0)))
        reach = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[:2], strict=True)]
        lengths = [(x.shape[1 + i] - reach[i]) // stride[i] + 1 for i in (0, 1)]
        each_in, each_out = x.shape[3] // groups, w.shape[3] // groups
        y = np.zeros((len(x), *lengths, w.shape[3]))
        for i, j in np.ndindex(*lengths):
            top, left = i * stride[0], j * stride[1]
            seen = x[:, top : top + reach[0] : dilation[0], left : left + reach[1] : dilation[1]]
            for g in range(groups):
                outputs = slice(g * each_out, (g + 1) * each_out)
                part = seen[..., g * each_in : (g + 1) * each_in]
                y[:, i, j, outputs] = np.tensordot(part, w[..., outputs], 3)
        return then(y + b)

    return compute


def sequence(stride=1, pads=(0, 0), dilation=1, groups=1):
    """The formula of Conv1D."""
    flat = convolution((1, stride), ((0, 0), pads), (1, dilation), groups)
    return lambda x, w, b=0.0: flat(x[:, None], w[None], b)[:, 0]


def case(op, image, weight, output, formula, bias=True):
    """A case over images; without an activation y is linear in each input, so that wide differences are exact."""
    biases = ((weight[-1],),) if bias else ()
    spacing = 1e-5 if op.activation else 1e-4
    return Case(op, ((N, *image), weight, *biases), (N, *output), formula, spacing=spacing)


ODD = ((0, 1), (1, 1))  # of "same" for 3 × 3 windows every 2 over 6 × 5
CASES = [
    case(Conv2D(), (5, 4, 2), (3, 2, 2, 3), (3, 3, 3), convolution()),
    case(Conv2D(padding="same"), (5, 3, 2), (3, 3, 2, 3), (5, 3, 3), convolution(pads=((1, 1), (1, 1))), bias=False),
    case(Conv2D(padding="same"), (3, 4, 1), (2, 4, 1, 2), (3, 4, 2), convolution(pads=((0, 1), (1, 2)))),
    case(Conv2D(2, "same"), (6, 5, 2), (3, 3, 2, 2), (3, 3, 2), convolution((2, 2), ODD)),
    case(
        Conv2D((2, 3), ((1, 0), (2, 1)), (2, 1)),
        (6, 7, 2),
        (3, 2, 2, 3),
        (2, 3, 3),
        convolution((2, 3), ((1, 0), (2, 1)), (2, 1)),
    ),
    case(Conv2D(1, 3), (2, 1, 2), (2, 3, 2, 1), (7, 5, 1), convolution(pads=((3, 3), (3, 3)))),
    case(Conv2D(1, (1, 0), 2), (5, 7, 3), (3, 3, 3, 2), (3, 3, 2), convolution((1, 1), ((1, 1), (0, 0)), (2, 2))),
    case(Conv2D(groups=2), (4, 3, 4), (2, 3, 2, 6), (3, 1, 6), convolution(groups=2)),
    case(Conv2D(2, 1, groups=3), (5, 5, 3), (3, 3, 1, 6), (3, 3, 6), convolution((2, 2), ((1, 1),) * 2, groups=3)),
    case(
        Conv2D(padding="same", groups=3),
        (4, 5, 3),
        (3, 2, 1, 3),
        (4, 5, 3),
        convolution((1, 1), ((1, 1), (0, 1)), groups=3),
    ),
    case(Conv2D(2, "same", groups=2), (6, 5, 2), (3, 3, 1, 2), (3, 3, 2), convolution((2, 2), ODD, groups=2)),
    case(Conv2D(), (3, 5, 4), (1, 1, 4, 3), (3, 5, 3), convolution()),
    case(Conv2D(groups=2), (3, 2, 4), (1, 1, 2, 6), (3, 2, 6), convolution(groups=2), bias=False),
    case(Conv2D(2), (3, 5, 4), (1, 1, 4, 3), (2, 3, 3), convolution((2, 2))),
    case(Conv2D(), (1, 1, 1), (1, 1, 1, 1), (1, 1, 1), convolution()),
    case(
        Conv2D(1, "same").followed_by(Tanh()),
        (3, 5, 2),
        (3, 3, 2, 3),
        (3, 5, 3),
        convolution(pads=((1, 1), (1, 1)), then=np.tanh),
    ),
    case(
        Conv2D(2).followed_by(SiLU()),
        (5, 4, 2),
        (2, 2, 2, 3),
        (2, 2, 3),
        convolution((2, 2), then=lambda y: y * scipy.special.expit(y)),
        bias=False,
    ),
    case(
        Conv2D(groups=2).followed_by(Sigmoid()),
        (3, 4, 2),
        (2, 2, 1, 2),
        (2, 3, 2),
        convolution(groups=2, then=scipy.special.expit),
    ),
    case(Conv1D(), (7, 2), (3, 2, 4), (5, 4), sequence()),
    case(Conv1D(padding="same"), (6, 1), (4, 1, 3), (6, 3), sequence(pads=(1, 2)), bias=False),
    case(Conv1D(2, (2, 0), 2, 2), (7, 4), (3, 2, 2), (3, 2), sequence(2, (2, 0), 2, 2)),
    case(Conv1D(3, "same"), (7, 3), (4, 3, 2), (3, 2), sequence(3, (1, 2))),
    case(Conv1D(groups=3), (4, 3), (2, 1, 3), (3, 3), sequence(groups=3)),
]
