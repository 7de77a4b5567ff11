"""Layers made of layers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from distnn.arrays import show
from distnn.errors import ShapeError, UsageError
from distnn.graph.functions import reshape
from distnn.graph.node import Node
from distnn.layers.layer import Inner, Layer, held, number


@contextlib.contextmanager
def _named(layer: Layer) -> Iterator[None]:
    """Name the run file's table of a layer that doesn't fit its input."""
    try:
        yield
    except UsageError as error:
        if layer.origin is None:
            raise
        raise layer.origin.blamed(error) from None


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
        held("Sequential", layers)
        self.layers = layers
        number(layers)
        for layer in layers:
            layer.parent = self

    def __call__(self, x: Node) -> Node:
        for layer in self.layers:
            with _named(layer):
                x = layer(x)
        return x

    @property
    def states(self) -> dict[str, int]:
        return {f"{layer.name}.{name}": units for layer in self.layers for name, units in layer.states.items()}

    def unroll(self, x: Node, *, state: Sequence[Node] = ()) -> tuple[Node, tuple[Node, ...]]:
        ends: list[Node] = []
        for layer in self.layers:
            with _named(layer):
                if not layer.states:
                    x = layer(x)
                    continue
                x, end = layer.unroll(x, state=state[len(ends) : len(ends) + len(layer.states)])
                ends += end
        return x, tuple(ends)


class Flatten(Layer, kind="flatten"):
    """All axes after the batch as one.   x (N, a, b, …) → (N, a·b·…). Costs nothing: the output is a view."""

    def __call__(self, x: Node) -> Node:
        return x if len(x.shape) == 2 else reshape(x, -1)


@dataclass(eq=False, repr=False)
class Residual(Layer, kind="residual"):
    """y = f(x) + s(x): a block f with a shortcut s around it, the identity by default.

    Source: He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, 2016.

    Raises:
        ShapeError: when called, if the outputs of block and shortcut differ in shape.
    """

    layers: Inner  #: the block f, in a run file written [[model.layers.layers]]
    #: s around the block, in a run file written [[model.layers.shortcut]]; the identity if not given
    shortcut: Inner | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        held("Residual", [layer for layer in (self.layers, self.shortcut) if layer is not None])
        for layer, role in ((self.layers, "block"), (self.shortcut, "shortcut")):
            if layer is not None:
                layer.parent = self
                layer.name = layer.name or role

    def __call__(self, x: Node) -> Node:
        y = self.layers(x)
        around = self.shortcut(x) if self.shortcut is not None else x
        if y.shape != around.shape:
            raise ShapeError(
                f"Residual{f' {self.name!r}' if self.name else ''}: the block turns {show(x.shape)} into "
                f"{show(y.shape)}, but the shortcut gives {show(around.shape)}; they are added and must be equal. Give "
                f"a shortcut that changes the shape alike."
            )
        return y + around
