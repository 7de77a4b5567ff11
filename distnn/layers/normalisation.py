"""Layer normalisation."""

from __future__ import annotations

import numpy as np

from distnn.arrays import Array, show
from distnn.errors import ShapeError, UsageError
from distnn.graph.functions import layer_norm
from distnn.graph.node import Node
from distnn.layers import initial
from distnn.layers.layer import Layer
from distnn.registry import Count, Positive


def _ones(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.ones(shape)


class LayerNorm(Layer, kind="layer_norm"):
    """y = γ (x − μ) / √(σ² + ε) + β with μ and σ² over the last axes.   x (N, …, D…), ``gain`` γ and ``bias`` β (D…).

    Each sample, and each position of a sequence, has its own statistics: prediction computes what training does.

    Raises:
        UsageError: for fewer than one axis.
        ShapeError: when called on a node that hasn't so many axes of fixed length after the batch.
    """

    plain = True

    def __init__(
        self,
        axes: Count = 1,  #: how many of the last axes D… has
        epsilon: Positive = 1e-5,  #: ε
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if axes < 1:
            raise UsageError(f"LayerNorm: axes is {axes}; expected at least 1.")
        self.axes, self.epsilon = axes, epsilon

    def __call__(self, x: Node) -> Node:
        features = tuple(length for length in x.shape[-self.axes :] if isinstance(length, int))
        if len(features) < self.axes or len(x.shape) <= self.axes:
            raise ShapeError(
                f"LayerNorm({self.axes}{f', name={self.name!r}' if self.name else ''}): its input has shape "
                f"{show(x.shape)}; expected (N, …) with {self.axes} or more axes of fixed length after the batch."
            )
        gain = self.parameter("gain", features, _ones)
        return layer_norm(x, gain, self.parameter("bias", features, initial.zeros), self.epsilon)
