"""Maxout: the largest of several pieces."""

from __future__ import annotations

from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show
from distnn.errors import ShapeError, UsageError
from distnn.ops.op import Buffer, Closures, Op, select


class Maxout(Op):
    """yⱼ = maxᵢ xᵢⱼ over the k pieces xᵢ = x[…, i O : (i + 1) O].   x (N, …, k O) → y (N, …, O).

    ∂J/∂xᵢⱼ = dyⱼ for the piece with the largest value, of equal ones the first, and 0 for the others.

    Source: Goodfellow, Warde-Farley, Mirza, Courville and Bengio, Maxout Networks, 2013.

    Arguments:
        pieces: k.

    Raises:
        UsageError: for fewer than one piece.
    """

    keeps_output = True

    def __init__(self, pieces: int) -> None:
        if pieces < 1:
            raise UsageError(f"Maxout: pieces is {pieces}; expected at least 1.")
        self.pieces = pieces

    def shape(self, x: Shape) -> Shape:
        if not x or not isinstance(x[-1], int) or x[-1] % self.pieces:
            raise ShapeError(
                f"maxout: the input has shape {show(x)}; expected a last axis that {self.pieces} pieces share evenly."
            )
        return (*x[:-1], x[-1] // self.pieces)

    def work(self, y: tuple[int, ...], x: tuple[int, ...]) -> dict[str, Buffer]:
        return {"mine": Buffer(y, "backward", np.bool_), "free": Buffer(y, "backward", np.bool_)}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, dy, dx = arrays
        width = y.shape[-1]
        parts = [slice(i * width, (i + 1) * width) for i in range(self.pieces)]

        def forward() -> None:
            np.copyto(y, x[..., parts[0]])
            for part in parts[1:]:
                np.maximum(y, x[..., part], out=y)

        def backward() -> None:
            mine, free = work["mine"], work["free"]
            free.fill(True)
            for part in parts:
                np.equal(x[..., part], y, out=mine)
                np.logical_and(mine, free, out=mine)
                np.not_equal(free, mine, out=free)
                select(dy, mine, dx[..., part])

        return forward, backward
