"""Softmax: logits into probabilities, for prediction."""

from __future__ import annotations

from typing import Any

import numpy as np

from distnn.errors import ShapeError
from distnn.ops.op import Array, Closures, Op, Shape, Work, show, size


class Softmax(Op):
    """yₙⱼ = e^zₙⱼ / Σₖ e^zₙₖ over the last axis;   ∂J/∂z = y (dy − Σₖ dyₖ yₖ).

    The row's maximum is subtracted first, so that no exponential overflows. Source: Bishop, PRML, 2006, section 4.3.4.
    """

    onnx = "Softmax"
    keeps_inputs, keeps_output = False, True

    def shape(self, z: Shape) -> Shape:
        if not z:
            raise ShapeError(f"softmax: the input has shape {show(z)}; expected at least one axis.")
        return z

    def flops(self, y: tuple[int, ...], z: tuple[int, ...]) -> int:
        return 5 * size(z)

    def work(self, y: tuple[int, ...], z: tuple[int, ...]) -> dict[str, Work]:
        row = (*z[:-1], 1)
        return {"row": Work(row, "forward"), "dot": Work(row, "backward")}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        z, dy, dz = arrays
        row = work["row"]
        dot = work["dot"] if dy is not None else row

        def forward() -> None:
            np.maximum.reduce(z, axis=-1, keepdims=True, out=row)
            np.subtract(z, row, out=y)
            np.exp(y, out=y)
            np.add.reduce(y, axis=-1, keepdims=True, out=row)
            np.divide(y, row, out=y)

        def backward() -> None:
            np.multiply(dy, y, out=dz)
            np.add.reduce(dz, axis=-1, keepdims=True, out=dot)
            np.subtract(dy, dot, out=dz)
            np.multiply(dz, y, out=dz)

        return forward, backward
