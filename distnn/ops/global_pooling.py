"""Pooling of all positions into one: the maximum or the mean of each channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show, size
from distnn.errors import ShapeError
from distnn.ops.blocks import WindowBlock, cut, each
from distnn.ops.op import Buffer, Closures, Op, nothing


class GlobalPooling(Op):
    """Global max and average pooling: x (N, …, C) → y (N, C), over every axis between.

    Raises:
        ShapeError: for an input without an axis between batch and channels.
    """

    def shape(self, x: Shape) -> Shape:
        if len(x) < 3 or not all(isinstance(length, int) for length in x[1:]):
            raise ShapeError(f"{self.label}: x has shape {show(x)}; expected (N, …, C) with something in between.")
        return (x[0], x[-1])

    def flops(self, y: tuple[int, ...], x: tuple[int, ...]) -> int:
        return size(x)


class GlobalAveragePool(GlobalPooling):
    """y = the mean of x over all positions.   x (N, …, C) → y (N, C); ∂y/∂x = 1 / positions."""

    keeps_inputs = False

    def work(self, y: tuple[int, ...], x: tuple[int, ...]) -> dict[str, Buffer]:
        return {"share": Buffer((y[0], 1, y[1]), "backward")}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, dy, dx = arrays
        flat = np.ascontiguousarray(x).reshape(len(x), -1, x.shape[-1])
        positions, share = flat.shape[1], work.get("share")
        weights = np.full((1, 1, positions), 1 / positions, y.dtype)
        out = y[:, None]

        def forward() -> None:
            np.matmul(weights, flat, out=out)

        if dx is None:
            return forward, nothing
        spread, upper = dx.reshape(flat.shape), dy[:, None]

        def backward() -> None:
            np.multiply(upper, weights[0, 0, 0], out=share)
            np.copyto(spread, share)  # type: ignore[arg-type]

        return forward, backward


class GlobalMaxPool(GlobalPooling):
    """y = the maximum of x over all positions; ∂y/∂x = 1 at the first of them, else 0.   x (N, …, C) → y (N, C)."""

    keeps_output = True

    def _blocks(self, x: tuple[int, ...]) -> list[WindowBlock]:
        return cut(x[0], 1, size(x[1:-1]), 2 * x[-1])

    def work(self, y: tuple[int, ...], x: tuple[int, ...]) -> dict[str, Buffer]:
        part = (self._blocks(x)[0].images, size(x[1:-1]), x[-1])
        return {
            "order": Buffer(part, "backward"),
            "mask": Buffer(part, "backward", np.bool_),
            "first": Buffer((part[0], 1, part[2]), "backward"),
        }

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, dy, dx = arrays
        flat = x.reshape(len(x), -1, x.shape[-1])

        def forward() -> None:
            np.maximum.reduce(flat, axis=1, out=y)

        if dx is None:
            return forward, nothing
        spread = dx.reshape(flat.shape)
        # Falling with the position: the largest where x is the maximum belongs to the first maximum.
        falling = np.arange(flat.shape[1], 0, -1, dtype=y.dtype)[:, None]

        def backward(block: WindowBlock) -> None:
            images = slice(block.first, block.last)
            order, mask, first = (work[name][: block.images] for name in ("order", "mask", "first"))
            np.equal(flat[images], y[images, None], out=mask)
            np.copyto(order, falling)
            np.multiply(order, mask, out=order)
            np.maximum.reduce(order, axis=1, keepdims=True, out=first)
            np.equal(order, first, out=mask)
            np.copyto(order, dy[images, None])
            np.multiply(order, mask, out=spread[images])

        return forward, each(self._blocks(x.shape), backward)
