"""An activation as a layer of its own."""

from __future__ import annotations

from distnn.errors import UsageError
from distnn.graph.functions import activate
from distnn.graph.node import Node
from distnn.layers.layer import Layer
from distnn.ops.by_name import activation as activation_named

#: The activations that have an option, by its name.
OWNERS = {"slope": "leaky_relu", "alpha": "elu"}


class Activation(Layer):
    """y = f(x), elementwise.

    Arguments:
        activation: f: identity, relu or another.
        slope: of ``leaky_relu`` below 0; 0.1 if None.
        alpha: of ``elu``; 1 if None.
        name: the layer's name.

    Raises:
        UsageError: for an unknown activation, or an option that isn't its own.
    """

    def __init__(
        self, activation: str, *, slope: float | None = None, alpha: float | None = None, name: str | None = None
    ) -> None:
        super().__init__(name)
        given = {"slope": slope, "alpha": alpha}
        options = {key: value for key, value in given.items() if value is not None}
        for key in options:
            if OWNERS[key] != activation:
                raise UsageError(f"Activation: {key} belongs to {OWNERS[key]} and has no meaning with {activation}.")
        self.activation = activation_named(activation, **options)

    def __call__(self, x: Node) -> Node:
        return activate(x, self.activation)
