"""Cases of the recurrent cells, written out sample by sample, step by step, and of what else works on sequences."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from distnn.graph import N
from distnn.ops.activation import Tanh
from distnn.ops.linear import Affine
from distnn.ops.recurrent.cells import GRU, LSTM, SimpleRNN
from distnn.ops.recurrent.recurrence import Recurrence
from distnn.ops.sequence import LastStep, Steps
from tests.support.ops import LABELS, Case

ABSTRACT: set[type] = set()

T, I, H = 3, 2, 4  # noqa: E741
X, H0 = (N, T, I), (N, H)


def weights(gates, biases=1):
    return ((I, gates * H), (H, gates * H), *((gates * H,),) * biases)


def rnn_step(x, h, w, r, b):
    return (np.tanh(x @ w + h @ r + b),)


def gru_step(x, h, w, r, b, c):
    wr, wz, wn = np.split(x @ w + b, 3)
    rr, rz, rn = np.split(h @ r + c, 3)
    z = expit(wz + rz)
    return ((1 - z) * np.tanh(wn + expit(wr + rr) * rn) + z * h,)


def lstm_step(x, h, c, w, r, b):
    i, f, g, o = np.split(x @ w + h @ r + b, 4)
    c = expit(f) * c + expit(i) * np.tanh(g)
    return expit(o) * np.tanh(c), c


def unrolled(step, states=1, biases=1, *, state=False, lengths=False, final=False):
    """The formula of a cell: ``step(x, *states, *weights)`` over each sample's steps."""

    def formula(x, *rest):
        weights, rest = rest[: 2 + biases], rest[2 + biases :]
        starts = rest[:states] if state else [np.zeros((len(x), H))] * states
        ends = rest[-1] if lengths else [T] * len(x)
        y = np.zeros((len(x), T + states * final, H))
        for n in range(len(x)):
            now = tuple(start[n] for start in starts)
            for t in range(ends[n]):
                now = step(x[n, t], *now, *weights)
                y[n, t] = now[0]
            if final:
                y[n, T:] = now
        return y

    return formula


def last(x, lengths):
    return np.stack([row[length - 1] if length else 0 * row[0] for row, length in zip(x, lengths, strict=True)])


CELLS = ((SimpleRNN(), rnn_step, 1, 1, 1), (GRU(), gru_step, 3, 2, 1), (LSTM(), lstm_step, 4, 1, 2))
OPTIONS = (
    {},
    {"state": True},
    {"lengths": True},
    {"final": True},
    {"state": True, "lengths": True, "final": True},
)


def case(cell, step, gates, biases, states, options):
    inputs = (X, *weights(gates, biases), *(H0,) * states * ("state" in options), *(LABELS,) * ("lengths" in options))
    output = (N, T + states * ("final" in options), H)
    return Case(Recurrence(cell, **options), inputs, output, unrolled(step, states, biases, **options))


CASES = [
    *(case(*cell, options) for cell in CELLS for options in OPTIONS),
    Case(Recurrence(LSTM()), ((N, 1, 1), (1, 4), (1, 4), (4,)), (N, 1, 1), lambda x, w, r, b: one_step(x[:, 0], w, b)),
    Case(Steps(1, 3), ((N, 4, 2),), (N, 2, 2), lambda x: x[:, 1:3]),
    Case(Steps(0, 4), ((N, 4),), (N, 4), lambda x: x),
    Case(LastStep(), ((N, T, 2), LABELS), (N, 2), last),
    Case(Affine(), ((N, T, 2), (2, 5), (5,)), (N, T, 5), lambda x, w, b: x @ w + b),
    Case(Affine().followed_by(Tanh()), ((N, 2, T, 1), (1, 4), (4,)), (N, 2, T, 4), lambda x, w, b: np.tanh(x @ w + b)),
]


def one_step(x, w, b):
    i, _, g, o = np.split(x @ w + b, 4, axis=1)
    return (expit(o) * np.tanh(expit(i) * np.tanh(g)))[:, None]
