"""Cases of arithmetic, activations, affine maps, softmax and losses."""

from __future__ import annotations

import numpy as np
import scipy.special

from distnn.graph import N
from distnn.ops import activation, arithmetic, linear, loss, probability
from tests.ops.case import BITS, LABELS, Case, away_from_zero, positive

#: Classes of these modules that are no ops by themselves.
ABSTRACT = {arithmetic.Binary, arithmetic.Unary, activation.Activation, loss.ElementwiseLoss, loss._OverClasses}


def ce(z, t):
    return -np.sum(scipy.special.log_softmax(z, axis=1)[np.arange(len(z)), t])


def bce(z, t):
    p = scipy.special.expit(z.reshape(-1))
    return -np.sum(scipy.special.xlogy(t, p) + scipy.special.xlogy(1 - t, 1 - p))


CASES = [
    Case(arithmetic.Add(), ((N, 3), (N, 3)), (N, 3), np.add),
    Case(arithmetic.Add(), ((N, 3), (3,)), (N, 3), np.add),
    Case(arithmetic.Add(), ((), (N, 3)), (N, 3), np.add),
    Case(arithmetic.Subtract(), ((1, 3), (N, 3)), (N, 3), np.subtract),
    Case(arithmetic.Subtract(), ((N, 1), (3,)), (N, 3), np.subtract),
    Case(arithmetic.Multiply(), ((N, 3), (N, 1)), (N, 3), np.multiply),
    Case(arithmetic.Multiply(), ((), ()), (), np.multiply),
    Case(arithmetic.Divide(), ((N, 3), (3,)), (N, 3), np.divide, {1: away_from_zero}),
    Case(arithmetic.Negate(), ((N, 3),), (N, 3), np.negative),
    Case(arithmetic.Power(3), ((N, 3),), (N, 3), lambda x: x**3),
    Case(arithmetic.Power(-1), ((N, 2),), (N, 2), lambda x: 1 / x, {0: away_from_zero}),
    Case(arithmetic.Exp(), ((N, 3),), (N, 3), np.exp),
    Case(arithmetic.Log(), ((N, 3),), (N, 3), np.log, {0: positive}),
    Case(arithmetic.Sum(), ((N, 3),), (), np.sum),
    Case(arithmetic.Sum(1), ((N, 3, 2),), (N, 2), lambda x: x.sum(1)),
    Case(arithmetic.Sum((0, 2)), ((N, 3, 2),), (3,), lambda x: x.sum((0, 2))),
    Case(arithmetic.MatMul(), ((N, 3), (3, 5)), (N, 5), np.matmul),
    Case(arithmetic.Reshape(6), ((N, 3, 2),), (N, 6), lambda x: x.reshape(len(x), 6)),
    Case(arithmetic.Reshape(-1, 2), ((N, 6),), (N, 3, 2), lambda x: x.reshape(len(x), 3, 2)),
    Case(activation.Sigmoid(), ((N, 3),), (N, 3), scipy.special.expit),
    Case(activation.Tanh(), ((N, 3, 2),), (N, 3, 2), np.tanh),
    Case(activation.ReLU(), ((N, 7),), (N, 7), lambda x: np.where(x > 0, x, 0), {0: away_from_zero}),
    Case(linear.Affine(), ((N, 3), (3, 5), (5,)), (N, 5), lambda x, w, b: x @ w + b),
    Case(
        linear.AffineActivation(activation.Tanh()),
        ((N, 3), (3, 5), (5,)),
        (N, 5),
        lambda x, w, b: np.tanh(x @ w + b),
    ),
    Case(
        linear.AffineActivation(activation.Sigmoid()),
        ((N, 1), (1, 1), (1,)),
        (N, 1),
        lambda x, w, b: scipy.special.expit(x @ w + b),
    ),
    Case(probability.Softmax(), ((N, 4),), (N, 4), lambda z: scipy.special.softmax(z, axis=-1)),
    Case(loss.SquaredError(), ((N, 3), (N, 3)), (), lambda p, t: np.sum((p - t) ** 2)),
    Case(loss.SquaredError(), ((N, 1), (N,)), (), lambda p, t: np.sum((p[:, 0] - t) ** 2)),
    Case(loss.BinaryCrossEntropy(), ((N, 1), BITS), (), bce),
    Case(loss.BinaryCrossEntropy(), ((N,), BITS), (), bce),
    Case(loss.CrossEntropy(), ((N, 4), LABELS), (), ce),
    Case(loss.CorrectClasses(), ((N, 4), LABELS), (), lambda z, t: np.sum(z.argmax(1) == t)),
    Case(loss.CorrectBinary(), ((N, 1), BITS), (), lambda z, t: np.sum((scipy.special.expit(z[:, 0]) >= 0.5) == t)),
]
