"""Activations that multiply their input with a gate of it, y = x G(x): GELU and SiLU.

Their derivative isn't known from y (they fall before they rise), so that forward computes it, too.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import Any

import numpy as np

from distnn.arrays import Array, size
from distnn.kernels.normal import normal_tail
from distnn.ops.activation import Activation
from distnn.ops.op import Buffer, Closure, Closures, nothing, together

#: Elements computed at a time: few enough for the scratch arrays to stay in the cache over a polynomial's many passes.
BLOCK = 16384
#: From here on every tail and density is 0.
FAR = 1000


class Gated(Activation):
    """y = x G(x) with G the distribution function of a symmetric density g.   With a = |x| and the tail T = G(−a):

        y = max(x, 0) − a T,   dy/dx = G(x) + x g(x) = ½ ± (½ − T + a g(a)) with the sign of x

    Nothing cancels in y, however far out x is.
    """

    keeps_output = False
    rectifies = True

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Buffer]:
        return {"slope": Buffer(y, "saved"), "scratch": Buffer((4, min(BLOCK, size(y))), "forward")}

    @abstractmethod
    def gate(self, a: Array, tail: Array, density: Array, spare: Array) -> object:
        """Write G(−a) into ``tail`` and g(a) into ``density``, for a ≥ 0."""

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, dy, dx = arrays
        slope = work["slope"]
        flat = y.reshape(-1), x.reshape(-1), slope.reshape(-1)
        steps: list[Closure] = []
        for start in range(0, y.size, BLOCK):
            out, source, kept = (array[start : start + BLOCK] for array in flat)
            steps.append(partial(self._forward, out, source, kept, work["scratch"][:, : len(out)]))
        return together(steps), (nothing if dy is None else lambda: np.multiply(dy, slope, out=dx))

    def _forward(self, y: Array, x: Array, slope: Array, scratch: Array) -> None:
        a, tail, density, spare = scratch
        np.abs(x, out=a)
        np.minimum(a, FAR, out=a)  # ∞ times a tail of 0 would be NaN
        self.gate(a, tail, density, spare)
        np.multiply(density, a, out=density)
        np.subtract(density, tail, out=density)
        np.add(density, 0.5, out=density)
        np.copysign(density, x, out=slope)
        np.add(slope, 0.5, out=slope)
        np.multiply(tail, a, out=tail)
        np.maximum(x, 0, out=y)
        np.subtract(y, tail, out=y)


class GELU(Gated, kind="gelu"):
    """y = x Φ(x) with the normal distribution function Φ, exactly;   dy/dx = Φ(x) + x φ(x).

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.
    """

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
