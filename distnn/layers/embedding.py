"""The embedding: a vector for each token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from distnn.arrays import Array
from distnn.errors import UsageError
from distnn.graph.node import Node, apply
from distnn.layers.layer import Layer
from distnn.ops.embedding import Embedding as EmbeddingOp
from distnn.registry import Count, FromData


def _normal(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return generator.normal(size=shape)


@dataclass(eq=False, repr=False)
class Embedding(Layer, kind="embedding"):
    """yₙₜ = ``weight``[tokensₙₜ].   tokens (N,) or (N, T), integers 0 … V−1, ``weight`` (V, D) → y (N, D) or (N, T, D).

    First values are normal with variance 1. Source: Bengio, Ducharme, Vincent and Jauvin, A Neural Probabilistic
    Language Model, 2003.

    Raises:
        UsageError: for fewer than one token or unit, or when called on a node that doesn't hold integers.
    """

    tokens: Annotated[Count, FromData()]  #: V, how many different ones there are; those of the data if not given
    units: Count  #: D

    def __call__(self, x: Node) -> Node:
        if not x.integer:
            raise UsageError(
                f"{self.called(self.tokens, self.units)}: its input {x!r} isn't of integers; expected tokens: data "
                f"for the task language, or in Python an input made with integer=True."
            )
        return apply(EmbeddingOp(), x, self.parameter("weight", (self.tokens, self.units), _normal))
