"""An activation as a layer of its own."""

from __future__ import annotations

from distnn.graph.functions import activate
from distnn.graph.node import Node
from distnn.layers.layer import Layer


class Activation(Layer):
    """y = f(x), elementwise.

    Arguments:
        activation: f: identity, relu or another.
        name: the layer's name.

    Raises:
        UsageError: when called, for an unknown activation.
    """

    def __init__(self, activation: str, *, name: str | None = None) -> None:
        super().__init__(name)
        self.activation = activation

    def __call__(self, x: Node) -> Node:
        return activate(x, self.activation)
