"""Layers made of layers."""

from __future__ import annotations

from distnn.graph.functions import reshape
from distnn.graph.node import Node
from distnn.layers.layer import Layer, number


class Sequential(Layer):
    """Layers one after the other: y = lₖ(… l₂(l₁(x))).

    >>> from distnn import graph
    >>> from distnn.layers import Dense, Sequential
    >>> Sequential(Dense(3, "relu"), Dense(2))(graph.input("x", (graph.N, 4)))
    <affine: affine (N, 2)>

    Arguments:
        layers: called in this order; those without a name are numbered, ``dense1``, ``dense2``, …
        name: the layer's name, within another container.
    """

    def __init__(self, *layers: Layer, name: str | None = None) -> None:
        super().__init__(name)
        self.layers = layers
        number(layers)
        for layer in layers:
            layer.parent = self

    def __call__(self, x: Node) -> Node:
        for layer in self.layers:
            x = layer(x)
        return x


class Flatten(Layer):
    """All axes after the batch as one.   x (N, a, b, …) → (N, a·b·…). Costs nothing: the output is a view."""

    def __call__(self, x: Node) -> Node:
        return x if len(x.shape) == 2 else reshape(x, -1)
