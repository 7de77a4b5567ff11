"""The fully connected layers."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np

from distnn.arrays import show
from distnn.errors import ShapeError
from distnn.graph.functions import activate, affine, maxout
from distnn.graph.node import Node, constant
from distnn.layers import initial
from distnn.layers.layer import Layer, Outputs
from distnn.ops.by_name import ActivationLike
from distnn.ops.by_name import activation as check_activation
from distnn.registry import Count, Initialization


def _features(layer: Layer, x: Node, *what: int) -> int:
    """The I of a node (N, …, I), which must be the one that the layer's weights take."""
    found = x.shape[-1] if len(x.shape) > 1 else None
    known = layer.roles["weight"].shape[0] if layer.roles else found
    if not isinstance(found, int) or found != known:
        expected = ", ".join(map(str, (*(x.shape[:-1] or ("N",)), known or "features")))
        raise ShapeError(
            f"{layer.called(*what)}: its input has shape {show(x.shape)}; expected ({expected}). Flatten() before it "
            f"joins several axes."
        )
    return found


@dataclass(eq=False, repr=False)
class Dense(Layer, kind="dense"):
    """y = f(x W + b) over the last axis.   x (N, …, I), ``weight`` (I, O), ``bias`` (O,) → y (N, …, O).

    Raises:
        UsageError: for an unknown activation or initialization, or fewer than one unit.
        ShapeError: when called on a node that isn't (N, …, I) with the I of its first call.
    """

    plain = True

    units: Outputs  #: the number of outputs O; the last layer may leave it out: one per output of the data
    activation: ActivationLike = "identity"  #: f
    _: KW_ONLY
    bias: bool = True  #: false leaves b out
    initialization: Initialization = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_activation(self.activation)
        self.weights = initial.for_weights(self.initialization, self.activation)

    def __call__(self, x: Node) -> Node:
        weight = self.parameter("weight", (_features(self, x, self.units), self.units), self.weights)
        if self.bias:
            return activate(affine(x, weight, self.parameter("bias", (self.units,), initial.zeros)), self.activation)
        product = x @ weight if len(x.shape) == 2 else affine(x, weight, constant(np.zeros(self.units)))
        return activate(product, self.activation)


@dataclass(eq=False, repr=False)
class Maxout(Layer, kind="maxout"):
    """yⱼ = maxᵢ (x Wᵢ + bᵢ)ⱼ over k pieces.   x (N, …, I), ``weight`` (I, k O), ``bias`` (k O,) → y (N, …, O).

    Source: Goodfellow, Warde-Farley, Mirza, Courville and Bengio, Maxout Networks, 2013.

    Raises:
        UsageError: for an unknown initialization, or fewer than one unit or piece.
        ShapeError: when called on a node that isn't (N, …, I) with the I of its first call.
    """

    plain = True

    units: Outputs  #: the number of outputs O; the last layer may leave it out: one per output of the data
    pieces: Count = 2  #: k
    _: KW_ONLY
    initialization: Initialization = "auto"  #: of each piece's weights

    def __post_init__(self) -> None:
        super().__post_init__()
        self.weights = initial.side_by_side(initial.for_weights(self.initialization, None), self.pieces)

    def __call__(self, x: Node) -> Node:
        features, width = _features(self, x, self.units, self.pieces), self.units * self.pieces
        weight = self.parameter("weight", (features, width), self.weights)
        return maxout(affine(x, weight, self.parameter("bias", (width,), initial.zeros)), self.pieces)
