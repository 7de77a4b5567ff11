"""The fully connected layer."""

from __future__ import annotations

from distnn.errors import ShapeError, UsageError
from distnn.graph.functions import activate, affine
from distnn.graph.node import Node
from distnn.layers import initial
from distnn.layers.layer import Layer
from distnn.ops.activation import activation as check_activation
from distnn.ops.op import show


class Dense(Layer):
    """y = f(x W + b).   x (N, I), ``weight`` (I, O), ``bias`` (O,) → y (N, O).

    Arguments:
        units: the number of outputs O.
        activation: f: identity, relu, sigmoid or tanh.
        bias: False leaves b out.
        initialization: of the weights: auto, glorot or he.
        name: the layer's name.

    Raises:
        UsageError: for an unknown activation or initialization, or fewer than one unit.
        ShapeError: when called on a node that isn't (N, I) with the I of its first call.
    """

    def __init__(
        self,
        units: int,
        activation: str = "identity",
        *,
        bias: bool = True,
        initialization: str = "auto",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if units < 1:
            raise UsageError(f"Dense: units is {units}; expected at least 1.")
        check_activation(activation)
        self.units, self.activation, self.bias = units, activation, bias
        self.weights = initial.for_weights(initialization, activation)

    def __call__(self, x: Node) -> Node:
        features = x.shape[1] if len(x.shape) == 2 else None
        known = self.roles["weight"].shape[0] if self.roles else features
        if not isinstance(features, int) or features != known:
            raise ShapeError(
                f"Dense({self.units}{f', name={self.name!r}' if self.name else ''}): its input has shape "
                f"{show(x.shape)}; expected (N, {known or 'features'}). Flatten() before it joins several axes."
            )
        weight = self.parameter("weight", (features, self.units), self.weights)
        if self.bias:
            return activate(affine(x, weight, self.parameter("bias", (self.units,), initial.zeros)), self.activation)
        return activate(x @ weight, self.activation)
