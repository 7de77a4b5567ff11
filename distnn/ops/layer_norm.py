"""Layer norm: every sample, or position, by its own statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show, size
from distnn.errors import ShapeError
from distnn.ops.op import Buffer, Closures, Op, flat, nothing


class LayerNorm(Op):
    """y = γ x̂ + β,  x̂ = (x − μ) / √(σ² + ε), with μ and σ² over the last axes, those of γ and β.

    x (N, …, D…); γ, β (D…) → y (N, …, D…). With h = γ dy and the mean ⟨·⟩ over the last axes:

        ∂J/∂γ = Σ dy x̂,   ∂J/∂β = Σ dy,   ∂J/∂x = (h − ⟨h⟩ − x̂ ⟨h x̂⟩) / √(σ² + ε)

    Source: Ba, Kiros and Hinton, Layer Normalization, 2016.

    Arguments:
        epsilon: ε.
    """

    keeps_inputs, cost = False, 7

    def __init__(self, epsilon: float = 1e-5) -> None:
        self.epsilon = epsilon

    def shape(self, x: Shape, gain: Shape, bias: Shape) -> Shape:
        if not gain or gain != bias or len(gain) >= len(x) or x[-len(gain) :] != gain:
            raise ShapeError(
                f"layernorm: x {show(x)}, gain {show(gain)} and bias {show(bias)} do not fit; expected (N, …, D…) and "
                f"twice (D…), the last axes of x."
            )
        return x

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Buffer]:
        rows, features = size(y) // size(inputs[1]), size(inputs[1])
        saved = {"normal": Buffer((rows, features), "saved"), "deviation": Buffer((rows, 1), "saved")}
        return {**saved, "mu": Buffer((rows, 1), "forward"), "row": Buffer((rows, 1), "backward")}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, gain, bias, dy = arrays[:4]
        normal, deviation, mu = work["normal"], work["deviation"], work["mu"]
        x, out, gain, bias = x.reshape(normal.shape), y.reshape(normal.shape), gain.reshape(-1), bias.reshape(-1)
        mean_of = np.full(len(gain), 1 / len(gain), x.dtype)

        def forward() -> None:
            np.dot(x, mean_of, out=mu[:, 0])
            np.subtract(x, mu, out=normal)
            np.vecdot(normal, normal, out=deviation[:, 0])
            np.multiply(deviation, 1 / len(gain), out=deviation)
            np.add(deviation, self.epsilon, out=deviation)
            np.sqrt(deviation, out=deviation)
            np.divide(normal, deviation, out=normal)
            np.multiply(normal, gain, out=out)
            np.add(out, bias, out=out)

        return forward, nothing if dy is None else self._backward(work, gain, *arrays[3:])

    def _backward(self, work: dict[str, Array], gain: Array, *arrays: Any) -> Callable[[], None]:
        normal, deviation, row = work["normal"], work["deviation"], work["row"]
        dy, dx = arrays[0].reshape(normal.shape), None if arrays[1] is None else arrays[1].reshape(normal.shape)
        dgain, dbias = map(flat, arrays[2:])
        ones = np.ones(len(normal), normal.dtype)
        mean_of = np.full(len(gain), 1 / len(gain), normal.dtype)

        def backward() -> None:
            if dbias is not None:
                np.dot(ones, dy, out=dbias)
            if dgain is not None:
                np.einsum("md,md->d", dy, normal, out=dgain)
            if dx is not None:
                np.multiply(dy, gain, out=dx)
                np.vecdot(dx, normal, out=row[:, 0])
                np.multiply(row, 1 / len(gain), out=row)
                np.multiply(normal, row, out=normal)
                np.dot(dx, mean_of, out=row[:, 0])
                np.subtract(dx, row, out=dx)
                np.subtract(dx, normal, out=dx)
                np.divide(dx, deviation, out=dx)

        return backward
