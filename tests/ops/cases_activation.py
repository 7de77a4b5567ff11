"""Cases of activations, softmax, maxout and layer norm."""

from __future__ import annotations

import numpy as np
import scipy.special

from distnn.graph import N
from distnn.ops import activation, by_name, gated, probability
from distnn.ops.layer_norm import LayerNorm
from distnn.ops.maxout import Maxout
from tests.support.ops import Case, away_from_zero

#: Classes of these modules that are no ops by themselves.
ABSTRACT = {
    *(by_name.NoActivation, activation.Activation, activation.LinearMap, activation.FromOutput, activation.Sloped),
    *(gated.Gated, probability._OverLastAxis),
}


def layer_norm(axes):
    def formula(x, gain, bias):
        over = tuple(range(x.ndim - axes, x.ndim))
        spread = np.sqrt(x.var(over, keepdims=True) + 1e-5)
        return gain * (x - x.mean(over, keepdims=True)) / spread + bias

    return formula


def apart(generator, shape):
    """Values with gaps that no step of a difference quotient closes, for a maximum."""
    return generator.permutation(np.prod(shape)).reshape(shape) / 10 + generator.uniform(0, 0.05, shape)


CASES = [
    Case(activation.Sigmoid(), ((N, 3),), (N, 3), scipy.special.expit),
    Case(activation.Tanh(), ((N, 3, 2),), (N, 3, 2), np.tanh),
    Case(activation.ReLU(), ((N, 7),), (N, 7), lambda x: np.where(x > 0, x, 0), {0: away_from_zero}),
    Case(activation.LeakyReLU(), ((N, 7),), (N, 7), lambda x: np.where(x > 0, x, x / 10), {0: away_from_zero}),
    Case(
        activation.LeakyReLU(0.3), ((N, 2, 3),), (N, 2, 3), lambda x: np.where(x > 0, x, x * 0.3), {0: away_from_zero}
    ),
    Case(activation.ELU(), ((N, 7),), (N, 7), lambda x: np.where(x > 0, x, np.expm1(x))),
    Case(activation.ELU(2.5), ((N, 7),), (N, 7), lambda x: np.where(x > 0, x, 2.5 * np.expm1(x)), {0: away_from_zero}),
    Case(activation.Softplus(), ((N, 2, 3),), (N, 2, 3), lambda x: np.logaddexp(0, x)),
    Case(gated.GELU(), ((N, 2, 3),), (N, 2, 3), lambda x: x * scipy.special.ndtr(x)),
    Case(gated.SiLU(), ((N, 7),), (N, 7), lambda x: x * scipy.special.expit(x)),
    Case(probability.Softmax(), ((N, 4),), (N, 4), lambda z: scipy.special.softmax(z, axis=-1)),
    Case(probability.Softmax(), ((N, 3, 4),), (N, 3, 4), lambda z: scipy.special.softmax(z, axis=-1)),
    Case(probability.LogSoftmax(), ((N, 4),), (N, 4), lambda z: scipy.special.log_softmax(z, axis=-1)),
    Case(probability.LogSoftmax(), ((N, 3, 4),), (N, 3, 4), lambda z: scipy.special.log_softmax(z, axis=-1)),
    Case(Maxout(3), ((N, 6),), (N, 2), lambda x: x.reshape(-1, 3, 2).max(1), {0: apart}),
    Case(Maxout(2), ((N, 5, 2),), (N, 5, 1), lambda x: x.max(2, keepdims=True), {0: apart}),
    Case(LayerNorm(), ((N, 5), (5,), (5,)), (N, 5), layer_norm(1)),
    Case(LayerNorm(), ((N, 2, 3), (3,), (3,)), (N, 2, 3), layer_norm(1)),
    Case(LayerNorm(), ((N, 2, 3), (2, 3), (2, 3)), (N, 2, 3), layer_norm(2)),
]
