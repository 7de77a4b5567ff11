"""The affine map of a dense layer, alone and fused with the activation that follows it."""

from __future__ import annotations

from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show, size
from distnn.errors import ShapeError
from distnn.ops.activation import Activation, Shifted
from distnn.ops.op import Buffer, Closures, Op, by_rows, together


class Affine(Op):
    """y = x W + b over the last axis.   x (N, …, I), W (I, O), b (O,) → y (N, …, O).

    With dy = ∂J/∂y and all axes but the last as one:   ∂J/∂W = xᵀ dy,   ∂J/∂b = Σ dy,   ∂J/∂x = dy Wᵀ.
    """

    def shape(self, x: Shape, weight: Shape, bias: Shape) -> Shape:
        if len(x) < 2 or len(weight) != 2 or x[-1] != weight[0] or bias != weight[1:]:
            raise ShapeError(
                f"affine: x {show(x)}, weight {show(weight)} and bias {show(bias)} do not fit; "
                f"expected (N, …, I), (I, O) and (O,) with the same I and O."
            )
        return (*x[:-1], weight[1])

    def flops(self, y: tuple[int, ...], x: tuple[int, ...], weight: tuple[int, ...], bias: tuple[int, ...]) -> int:
        return 2 * size(x) * weight[1]

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        weight, bias, _, _, dweight, dbias = arrays[1:]
        x, y, dy, dx = map(by_rows, (arrays[0], y, *arrays[3:5]))
        ones = np.ones(len(x), x.dtype)
        finish = self._finish(y.shape)

        def forward() -> None:
            np.matmul(x, weight, out=y)
            finish(y, bias)

        def backward() -> None:
            if dbias is not None:
                np.dot(ones, dy, out=dbias)  # a matrix-vector product: 1.2 to 3 times faster than add.reduce
            if dweight is not None:
                np.matmul(x.T, dy, out=dweight)
            if dx is not None:
                np.matmul(dy, weight.T, out=dx)

        return forward, backward

    def _finish(self, y: tuple[int, ...]) -> Shifted:
        """The function that adds the bias, and applies the activation if it can in the same pass."""
        return lambda y, bias: np.add(y, bias, out=y)


class AffineActivation(Affine):
    """y = f(x W + b): an affine map and an activation in one buffer, by the two ops' own rules.

    The activation works in place: y takes the place of x W + b, and ∂J/∂(x W + b) that of dy.
    """

    overwrites_dy = True

    def __init__(self, activation: Activation) -> None:
        self.activation = activation
        self.keeps_output = activation.keeps_output

    @property
    def label(self) -> str:
        return f"affine+{self.activation.label}"

    def flops(self, y: tuple[int, ...], *inputs: Any) -> int:
        return super().flops(y, *inputs) + self.activation.flops(y, y)

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Buffer]:
        return self.activation.work(y, y)

    def compiles(self, y: tuple[int, ...], *inputs: Any) -> set[str]:
        return self.activation.compiles(y)

    def _finish(self, y: tuple[int, ...]) -> Shifted:
        return self.activation.shifted(y) or super()._finish(y)

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        dy = arrays[3]
        affine_forward, affine_backward = super().bind(work, y, *arrays)
        activate, derive = self.activation.bind(work, y, y, dy, dy)
        forward = affine_forward if self.activation.shifted(y.shape) else together([affine_forward, activate])
        return forward, together([derive, affine_backward])
