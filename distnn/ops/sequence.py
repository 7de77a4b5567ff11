"""Pieces of sequences: some of their steps, and each sample's last."""

from __future__ import annotations

from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show
from distnn.errors import ShapeError
from distnn.ops.op import Buffer, Closures, Op


class Steps(Op):
    """y = x[:, start:stop].   x (N, T, …) → y (N, stop − start, …);   ∂J/∂x is dy there, 0 elsewhere.

    Arguments:
        start: the first step, from 0.
        stop: one past the last.

    Raises:
        ShapeError: by the shape rule, for steps that x doesn't have.
    """

    keeps_inputs, cost = False, 0

    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop = start, stop

    def shape(self, x: Shape) -> Shape:
        if len(x) < 2 or not isinstance(x[1], int) or not 0 <= self.start < self.stop <= x[1]:
            raise ShapeError(
                f"steps: {show(x)} has no steps {self.start}:{self.stop}; expected (N, T, …) with T ≥ {self.stop}."
            )
        return (x[0], self.stop - self.start, *x[2:])

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, dy, dx = arrays
        start, stop = self.start, self.stop

        def backward() -> None:
            np.copyto(dx[:, :start], 0)
            np.copyto(dx[:, start:stop], dy)
            np.copyto(dx[:, stop:], 0)

        return (lambda: np.copyto(y, x[:, start:stop])), backward


class LastStep(Op):
    """yₙ = xₙ at step lengths[n] − 1, the sample's last.   x (N, T, H), lengths (N,), integers → y (N, H).

    ∂J/∂x is dy at that step, 0 elsewhere. A length of 0 gives 0, one above T counts as T.
    """

    label, cost = "last step", 0

    def shape(self, x: Shape, lengths: Shape) -> Shape:
        if len(x) != 3 or not isinstance(x[1], int) or lengths != x[:1]:
            raise ShapeError(
                f"last step: x {show(x)} and lengths {show(lengths)} do not fit; expected (N, T, H), (N,)."
            )
        return (x[0], x[2])

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Buffer]:
        return {"index": Buffer(y[:1], "saved", np.intp), "empty": Buffer((y[0], 1), "saved", np.bool_)}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, lengths, dy, dx, _ = arrays
        samples, steps, units = x.shape
        rows, index, empty = x.reshape(-1, units), work["index"], work["empty"]
        starts = np.arange(0, samples * steps, steps, dtype=np.intp)

        def forward() -> None:
            np.less_equal(lengths[:, None], 0, out=empty)
            np.subtract(lengths, 1, out=index)
            np.clip(index, 0, steps - 1, out=index)
            np.add(index, starts, out=index)
            rows.take(index, axis=0, out=y, mode="clip")  # "raise" would copy through a buffer
            np.copyto(y, 0, where=empty)

        def backward() -> None:
            np.copyto(dx, 0)
            dx.reshape(-1, units)[index] = dy
            np.copyto(dx[:, 0], 0, where=empty)

        return forward, backward
