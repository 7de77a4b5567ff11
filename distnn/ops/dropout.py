"""Dropout: random masks keyed to the step and the micro-shard, never to the rank."""

from __future__ import annotations

from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show
from distnn.errors import ShapeError, UsageError
from distnn.ops.arithmetic import Identity
from distnn.ops.op import Buffer, Closures, Op
from distnn.randomness import generator


class Dropout(Op):
    """y = x m / (1 − p), where each element of m is 0 with probability p, else 1;   ∂J/∂x = dy m / (1 − p).

    x (N, …), key (3,) integers: seed, step and micro-shard. The mask follows from the key and the op's name alone. In a
    forward-only plan y = x. Source: Srivastava et al., Dropout, JMLR 2014, in its inverted form.

    Arguments:
        rate: p, from 0 to below 1.

    Raises:
        UsageError: for a rate outside its range.
    """

    keeps_inputs = False

    def __init__(self, rate: float) -> None:
        if not 0 <= rate < 1:
            raise UsageError(f"Dropout: the rate is {rate}; expected a number from 0 to below 1.")
        self.rate = rate

    def shape(self, x: Shape, key: Shape) -> Shape:
        if key != (3,):
            raise ShapeError(f"dropout: the key has shape {show(key)}; expected (3,): seed, step, micro-shard.")
        return x

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Buffer]:
        return {"mask": Buffer(y, "saved")}

    def inference(self, inputs: tuple[Any, ...]) -> tuple[Op, tuple[Any, ...]]:
        return Identity(), inputs[:1]

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, key, dy, dx, _ = arrays
        mask, kept = work["mask"], 1 - self.rate
        dtype = mask.dtype.type

        def forward() -> None:
            seed, step, shard = key.tolist()
            generator(seed, f"{self.name}/{step}/{shard}").random(out=mask, dtype=dtype)
            np.add(mask, kept, out=mask)
            np.floor(mask, out=mask)
            np.multiply(mask, 1 / kept, out=mask)
            np.multiply(x, mask, out=y)

        return forward, (lambda: np.multiply(dy, mask, out=dx))
