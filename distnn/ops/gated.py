"""Activations that multiply their input with a gate of it, y = x G(x): GELU and SiLU.

Their derivative isn't known from y (they fall before they rise), so that forward computes it, too.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from distnn.arrays import Array
from distnn.kernels.normal import normal_tail
from distnn.ops.activation import Sloped, smaller

#: From here on every tail and density is 0.
FAR = 1000


class Gated(Sloped):
    """y = x G(x) with G the distribution function of a symmetric density g.   With a = |x| and the tail T = G(−a):

        y = max(x, 0) − a T,   dy/dx = G(x) + x g(x) = ½ ± (½ − T + a g(a)) with the sign of x

    Nothing cancels in y, however far out x is; far below 0, dy/dx = T − a g(a).
    """

    @abstractmethod
    def gate(self, a: Array, tail: Array, density: Array, spare: Array) -> object:
        """Write G(−a) into ``tail`` and g(a) into ``density``, for a ≥ 0."""

    def forward(self, y: Array, x: Array, slope: Array, scratch: Array) -> None:
        a, tail, density, spare = scratch
        np.abs(x, out=a)
        np.minimum(a, FAR, out=a)  # ∞ times a tail of 0 would be NaN
        self.gate(a, tail, density, spare)
        np.multiply(density, a, out=density)
        np.subtract(density, tail, out=density)
        if (far := self.limit(x)) is not None:
            np.negative(density, out=spare)
        np.add(density, 0.5, out=density)
        np.copysign(density, x, out=slope)
        np.add(slope, 0.5, out=slope)
        np.multiply(tail, a, out=tail)
        if far is not None:
            np.copyto(slope, spare, where=smaller(x, far, a))
        np.maximum(x, 0, out=y)
        np.subtract(y, tail, out=y)


class GELU(Gated, kind="gelu"):
    """y = x Φ(x) with the normal distribution function Φ, exactly;   dy/dx = Φ(x) + x φ(x).

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.
    """

    far = (-4.0, -6.0)

    def gate(self, a: Array, tail: Array, density: Array, spare: Array) -> object:
        return normal_tail(a, tail, density, spare)


class SiLU(Gated, kind="silu"):
    """y = x σ(x);   dy/dx = σ(x) + x σ(x) σ(−x).

    Source: Elfwing, Uchibe and Doya, Sigmoid-Weighted Linear Units, 2018; also known as swish.
    """

    def gate(self, a: Array, tail: Array, density: Array, spare: Array) -> object:
        np.negative(a, out=tail)
        np.exp(tail, out=tail)
        np.add(tail, 1, out=spare)
        np.divide(tail, spare, out=tail)
        np.subtract(1, tail, out=density)
        return np.multiply(density, tail, out=density)
