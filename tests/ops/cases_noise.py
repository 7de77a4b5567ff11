"""Cases of dropout and batch norm."""

from __future__ import annotations

import numpy as np

from distnn.graph import N
from distnn.ops.arithmetic import Identity
from distnn.ops.batch_norm import BatchNorm, BatchNormInference, PerChannel
from distnn.ops.dropout import Dropout
from distnn.randomness import generator
from tests.support.ops import KEY, Case

ABSTRACT = {PerChannel}

MEAN, VARIANCE = np.array([0.3, -1.0, 2.0]), np.array([0.5, 1.0, 4.0])


def batch_norm(x, gain, bias):
    axes = tuple(range(x.ndim - 1))
    return gain * (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5) + bias


def dropout(x, key):
    drawn = generator(int(key[0]), f"/{key[1]}/{key[2]}").random(x.shape)
    return np.where(drawn >= 0.25, x / 0.75, 0)


CASES = [
    Case(Identity(), ((N, 3),), (N, 3), lambda x: x),
    Case(Dropout(0.25), ((N, 7), KEY), (N, 7), dropout),
    *(
        Case(op, ((N, 3), (3,), (3,), (3,), (3,)), (N, 3), batch_norm, least=2, constants={3: MEAN, 4: VARIANCE})
        for op in (BatchNorm(), BatchNorm(whole=True))
    ),
    Case(
        BatchNorm(), ((N, 2, 5, 3), (3,), (3,), (3,), (3,)), (N, 2, 5, 3), batch_norm, constants={3: MEAN, 4: VARIANCE}
    ),
    Case(
        BatchNormInference(1e-5),
        ((N, 2, 3), (3,), (3,), (3,), (3,)),
        (N, 2, 3),
        lambda x, gain, bias: gain * (x - MEAN) / np.sqrt(VARIANCE + 1e-5) + bias,
        constants={3: MEAN, 4: VARIANCE},
    ),
]
