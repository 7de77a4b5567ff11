"""An activation as a layer of its own."""

from __future__ import annotations

from typing import Any

from distnn.errors import UsageError
from distnn.graph.functions import activate
from distnn.graph.node import Node
from distnn.layers.layer import Layer
from distnn.ops.activation import Activation as ActivationOp
from distnn.ops.by_name import ActivationLike
from distnn.ops.by_name import activation as activation_named


class Activation(Layer, kind="activation"):
    """y = f(x), elementwise.

    ``options`` are the activation's own, such as ``slope`` for ``leaky_relu``.

    Raises:
        UsageError: for an unknown activation, or an option that isn't its own.
    """

    plain = True

    def __init__(
        self,
        activation: ActivationLike,  #: f
        *,
        name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name)
        family = ActivationOp.family
        for key in options:
            if isinstance(activation, ActivationOp) or key not in family.keys(family.find(activation)):
                owners = [kind for kind, op in family.kinds.items() if key in family.keys(op)]
                whose = f"belongs to {' and '.join(owners)} and" if owners else "is unknown and"
                raise UsageError(f"Activation: {key} {whose} has no meaning with {activation}.")
        self.activation = activation_named(activation, **options)

    def __call__(self, x: Node) -> Node:
        return activate(x, self.activation)
