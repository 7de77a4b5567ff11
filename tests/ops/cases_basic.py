"""Cases of arithmetic and affine maps."""

from __future__ import annotations

import numpy as np
import scipy.special

from distnn.graph import N
from distnn.ops import activation, arithmetic, gated, linear, probability
from tests.support.ops import Case, away_from_zero, positive

#: Classes of these modules that are no ops by themselves.
ABSTRACT = {arithmetic.Binary, arithmetic.Unary}


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
    Case(linear.Affine(), ((N, 3), (3, 5), (5,)), (N, 5), lambda x, w, b: x @ w + b),
    Case(
        linear.Affine().followed_by(activation.Tanh()),
        ((N, 3), (3, 5), (5,)),
        (N, 5),
        lambda x, w, b: np.tanh(x @ w + b),
    ),
    Case(
        linear.Affine().followed_by(activation.Sigmoid()),
        ((N, 1), (1, 1), (1,)),
        (N, 1),
        lambda x, w, b: scipy.special.expit(x @ w + b),
    ),
    Case(
        linear.Affine().followed_by(gated.GELU()),
        ((N, 3), (3, 5), (5,)),
        (N, 5),
        lambda x, w, b: (x @ w + b) * scipy.special.ndtr(x @ w + b),
    ),
    Case(
        linear.Affine().followed_by(activation.ELU(0.5)),
        ((N, 3), (3, 5), (5,)),
        (N, 5),
        lambda x, w, b: np.where(x @ w + b > 0, x @ w + b, 0.5 * np.expm1(x @ w + b)),
    ),
    Case(
        linear.Affine().followed_by(activation.Softplus()),
        ((N, 3), (3, 5), (5,)),
        (N, 5),
        lambda x, w, b: np.logaddexp(0, x @ w + b),
    ),
    Case(
        linear.Affine().followed_by(probability.LogSoftmax()),
        ((N, 3), (3, 5), (5,)),
        (N, 5),
        lambda x, w, b: scipy.special.log_softmax(x @ w + b, axis=-1),
    ),
    Case(
        linear.Affine().followed_by(probability.Softmax()),
        ((N, 3), (3, 5), (5,)),
        (N, 5),
        lambda x, w, b: scipy.special.softmax(x @ w + b, axis=-1),
    ),
]
