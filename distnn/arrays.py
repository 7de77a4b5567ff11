"""Arrays and their shapes: the types that every package shares, and the batch's length in a shape."""

from __future__ import annotations

import math
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]


class BatchSize:
    """The batch's length in a graph's shapes: a number only once a plan is bound."""

    def __repr__(self) -> str:
        return "N"


#: The symbol for the batch's length, the first axis of inputs and activations: ``(N, 784)``.
N = BatchSize()

Dim = int | BatchSize
Shape = tuple[Dim, ...]


def size(shape: tuple[int, ...]) -> int:
    """The number of elements of a bound shape."""
    return math.prod(shape)


def show(shape: Shape) -> str:
    """A shape as text: ``(N, 784)``."""
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
