"""Dropout."""

from __future__ import annotations

from dataclasses import dataclass

from distnn.graph.node import Node, apply, input
from distnn.layers.layer import Layer
from distnn.ops.dropout import Dropout as DropoutOp
from distnn.registry import BelowOne

#: What a step's random numbers are keyed to: seed, step and micro-shard. One input for all layers of a graph.
KEY = input("key", (3,), integer=True)


@dataclass(eq=False, repr=False)
class Dropout(Layer, kind="dropout"):
    """y = x m / (1 − rate) in training, with a mask m that zeroes a share ``rate`` of the elements; y = x otherwise.

    The mask is keyed to (seed, step, micro-shard) and the layer's name, so it doesn't depend on the number of ranks.

    Raises:
        UsageError: for a rate outside its range.
    """

    plain = True

    rate: BelowOne = 0.5  #: the share of the elements that is zeroed

    def __call__(self, x: Node) -> Node:
        node = apply(DropoutOp(self.rate), x, KEY)
        node.layer = self
        return node
