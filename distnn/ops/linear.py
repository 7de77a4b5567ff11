"""The affine map of a dense layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show
from distnn.errors import ShapeError
from distnn.ops.activation import LinearMap
from distnn.ops.op import Buffer, Closures, by_rows, together


class Affine(LinearMap):
    """y = x W + b, or f(x W + b), over the last axis.   x (N, …, I), W (I, O), b (O,) → y (N, …, O).

    With dy = ∂J/∂(x W + b) and all axes but the last as one:   ∂J/∂W = xᵀ dy,   ∂J/∂b = Σ dy,   ∂J/∂x = dy Wᵀ.
    """

    def shape(self, x: Shape, weight: Shape, bias: Shape) -> Shape:
        if len(x) < 2 or len(weight) != 2 or x[-1] != weight[0] or bias != weight[1:]:
            raise ShapeError(
                f"affine: x {show(x)}, weight {show(weight)} and bias {show(bias)} do not fit; "
                f"expected (N, …, I), (I, O) and (O,) with the same I and O."
            )
        return (*x[:-1], weight[1])

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Buffer]:
        return self.activation.work(y, y) if self.activation else {}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        weight, bias, upper, _, dweight, dbias = arrays[1:]
        x, out, dy, dx = map(by_rows, (arrays[0], y, *arrays[3:5]))
        ones, shifted = np.ones(len(x), x.dtype), self.shifted(y.shape)

        def forward() -> None:
            np.matmul(x, weight, out=out)
            if shifted:
                shifted(out, bias)
            else:
                np.add(out, bias, out=out)

        def backward() -> None:
            if dbias is not None:
                np.dot(ones, dy, out=dbias)  # a matrix-vector product: 1.2 to 3 times faster than add.reduce
            if dweight is not None:
                np.matmul(x.T, dy, out=dweight)
            if dx is not None:
                np.matmul(dy, weight.T, out=dx)

        if self.activation is None:
            return forward, backward
        activate, derive = self.activation.bind(work, y, y, upper, upper)
        return forward if shifted else together([forward, activate]), together([derive, backward])
