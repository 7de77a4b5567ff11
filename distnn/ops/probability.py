"""Softmax and its logarithm: logits into probabilities.

The row's maximum is subtracted first, so that no exponential overflows. Source: Bishop, PRML, 2006, section 4.3.4.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show
from distnn.errors import ShapeError
from distnn.ops.activation import Activation
from distnn.ops.op import Buffer, Closures


class _OverLastAxis(Activation):
    """An activation of the rows along the last axis."""

    cost = 5

    def shape(self, z: Shape) -> Shape:
        if not z:
            raise ShapeError(f"{self.label}: the input has shape {show(z)}; expected at least one axis.")
        return z


class Softmax(_OverLastAxis, kind="softmax"):
    """yₙⱼ = e^zₙⱼ / Σₖ e^zₙₖ over the last axis;   ∂J/∂z = y (dy − Σₖ dyₖ yₖ)."""

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Buffer]:
        return {"row": Buffer((*y[:-1], 1), "forward"), "dot": Buffer((*y[:-1], 1), "backward")}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        z, dy, dz = arrays
        row = work["row"][: len(y)]
        dot = work.get("dot", row)[: len(y)]

        def forward() -> None:
            np.maximum.reduce(z, axis=-1, keepdims=True, out=row)
            np.subtract(z, row, out=y)
            np.exp(y, out=y)
            np.add.reduce(y, axis=-1, keepdims=True, out=row)
            np.divide(y, row, out=y)

        def backward() -> None:
            np.vecdot(dy, y, out=dot[..., 0])
            np.subtract(dy, dot, out=dz)
            np.multiply(dz, y, out=dz)

        return forward, backward


class LogSoftmax(_OverLastAxis, kind="log_softmax"):
    """yₙⱼ = zₙⱼ − ln Σₖ e^zₙₖ over the last axis;   ∂J/∂z = dy − eʸ Σₖ dyₖ."""

    label = "log_softmax"

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Buffer]:
        row = (*y[:-1], 1)
        forward = {"row": Buffer(row, "forward"), "exp": Buffer(y, "forward")}
        return forward | {"total": Buffer(row, "backward"), "share": Buffer(y, "backward")}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        z, dy, dz = arrays
        row, exp = work["row"][: len(y)], work["exp"][: len(y)]
        total, share = work.get("total", row)[: len(y)], work.get("share", exp)[: len(y)]

        def forward() -> None:
            np.maximum.reduce(z, axis=-1, keepdims=True, out=row)
            np.subtract(z, row, out=y)
            np.exp(y, out=exp)
            np.add.reduce(exp, axis=-1, keepdims=True, out=row)
            np.log(row, out=row)
            np.subtract(y, row, out=y)

        def backward() -> None:
            np.add.reduce(dy, axis=-1, keepdims=True, out=total)
            np.exp(y, out=share)
            np.multiply(share, total, out=share)
            np.subtract(dy, share, out=dz)

        return forward, backward
