"""First values of weights, so that signals keep their variance from layer to layer.

Sources: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010;
He, Zhang, Ren and Sun, Delving Deep into Rectifiers, 2015.
"""

from __future__ import annotations

import math

import numpy as np

from distnn.arrays import Array
from distnn.errors import UsageError, nearest
from distnn.graph.node import Initializer
from distnn.ops.activation import Activation
from distnn.ops.by_name import activation as find


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out) of weights (fan_in, fan_out), or of a convolution's (kh, kw, C / groups, O)."""
    places = math.prod(shape[:-2])
    return places * shape[-2], places * shape[-1]


def glorot(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Uniform in ±√(6 / (fan_in + fan_out)); for sigmoid, tanh and identity. Shapes: `fans`."""
    limit = math.sqrt(6 / sum(fans(shape)))
    return generator.uniform(-limit, limit, shape)


def he(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal with variance 2 / fan_in; for ReLU, which passes half of the variance on. Shapes: `fans`."""
    return generator.normal(0.0, math.sqrt(2 / fans(shape)[0]), shape)


def zeros(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Zeros, for biases."""
    return np.zeros(shape)


def side_by_side(first: Initializer, pieces: int) -> Initializer:
    """First values that each of so many pieces of equal width would have alone."""

    def values(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return np.concatenate([first(generator, (shape[0], shape[1] // pieces)) for _ in range(pieces)], axis=1)

    return values


_BY_NAME: dict[str, Initializer] = {"glorot": glorot, "he": he}


def for_weights(name: str, activation: str | Activation | None) -> Initializer:
    """The initializer called ``name``; ``auto`` is He before a ReLU and its kin, and Glorot before anything else.

    Raises:
        UsageError: for an unknown name.
    """
    if name == "auto":
        op = find(activation)
        return he if op is not None and op.rectifies else glorot
    if str(name) not in _BY_NAME:
        raise UsageError(
            f"unknown initialization '{name}'{nearest(str(name), _BY_NAME)}; known are auto, glorot and he."
        )
    return _BY_NAME[name]
