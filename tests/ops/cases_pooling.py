"""Cases of pooling, against the definition, written out with loops over windows."""

from __future__ import annotations

import numpy as np

from distnn.graph import N
from distnn.ops import pooling
from distnn.ops.pooling import AveragePool1D, AveragePool2D, GlobalAveragePool, GlobalMaxPool, MaxPool1D, MaxPool2D
from distnn.ops.subsample import Subsample
from tests.support.ops import Case

ABSTRACT = {pooling.Pooling, pooling.GlobalPooling}


def pool(reduce, window, stride, pads=((0, 0), (0, 0))):
    """``reduce`` over what each window sees of the image, without its padding."""

    def compute(x):
        lengths = [(x.shape[1 + i] + sum(pads[i]) - window[i]) // stride[i] + 1 for i in (0, 1)]
        y = np.zeros((len(x), *lengths, x.shape[3]))
        for i, j in np.ndindex(*lengths):
            top, left = i * stride[0] - pads[0][0], j * stride[1] - pads[1][0]
            y[:, i, j] = reduce(x[:, max(0, top) : top + window[0], max(0, left) : left + window[1]], axis=(1, 2))
        return y

    return compute


def sequence(reduce, window, stride, pads=(0, 0)):
    flat = pool(reduce, (1, window), (1, stride), ((0, 0), pads))
    return lambda x: flat(x[:, None])[:, 0]


def apart(generator, shape):
    """No two values nearer than 0.01, so that no difference changes which is the largest."""
    return generator.permutation(int(np.prod(shape))).reshape(shape) * 0.01 - 0.3


def cases(kind, one, reduce):
    """The same windows for the maximum and for the mean."""
    draw = {0: apart}

    def case(op, image, output, formula):
        return Case(op, ((N, *image),), (N, *output), formula, draw, spacing=1e-3)

    return [
        case(kind(), (4, 6, 3), (2, 3, 3), pool(reduce, (2, 2), (2, 2))),
        case(kind(2), (5, 3, 2), (2, 1, 2), pool(reduce, (2, 2), (2, 2))),
        case(kind((1, 3)), (2, 7, 1), (2, 2, 1), pool(reduce, (1, 3), (1, 3))),
        case(kind(2, 3), (5, 6, 2), (2, 2, 2), pool(reduce, (2, 2), (3, 3))),
        case(kind(3, 2), (7, 5, 2), (3, 2, 2), pool(reduce, (3, 3), (2, 2))),
        case(kind(2, 1, "same"), (3, 4, 2), (3, 4, 2), pool(reduce, (2, 2), (1, 1), ((0, 1), (0, 1)))),
        case(kind(3, 2, "same"), (6, 5, 2), (3, 3, 2), pool(reduce, (3, 3), (2, 2), ((0, 1), (1, 1)))),
        case(kind(2, None, "same"), (3, 5, 2), (2, 3, 2), pool(reduce, (2, 2), (2, 2), ((0, 1), (0, 1)))),
        case(kind(1, 2), (3, 4, 2), (2, 2, 2), pool(reduce, (1, 1), (2, 2))),
        case(one(), (7, 3), (3, 3), sequence(reduce, 2, 2)),
        case(one(3, 1), (5, 1), (3, 1), sequence(reduce, 3, 1)),
        case(one(4, 2, "same"), (7, 2), (4, 2), sequence(reduce, 4, 2, (1, 2))),
    ]


def subsampled(x):
    """Every second pixel and three more channels, of zeros."""
    return np.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (0, 3)))


CASES = [
    Case(Subsample(5, 2), ((N, 5, 4, 2),), (N, 3, 2, 5), subsampled),
    Case(Subsample(2), ((N, 1, 3, 2),), (N, 1, 3, 2), lambda x: x),
    *cases(MaxPool2D, MaxPool1D, np.max),
    *cases(AveragePool2D, AveragePool1D, np.mean),
    Case(GlobalAveragePool(), ((N, 3, 5, 2),), (N, 2), lambda x: x.mean((1, 2))),
    Case(GlobalAveragePool(), ((N, 7, 1),), (N, 1), lambda x: x.mean(1)),
    Case(GlobalMaxPool(), ((N, 3, 5, 2),), (N, 2), lambda x: x.max((1, 2)), {0: apart}, 1e-3),
    Case(GlobalMaxPool(), ((N, 1, 3),), (N, 3), lambda x: x.max(1), {0: apart}, 1e-3),
]
