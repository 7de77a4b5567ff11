"""Dropout and batch normalisation."""

from __future__ import annotations

import numpy as np

from distnn.arrays import Array, show
from distnn.errors import ShapeError
from distnn.graph.node import Node, apply, input
from distnn.layers import initial
from distnn.layers.layer import Layer
from distnn.ops.batch_norm import BatchNorm as BatchNormOp
from distnn.ops.random import Dropout as DropoutOp
from distnn.registry import BelowOne, Positive

#: What a step's random numbers are keyed to: seed, step and micro-shard. One input for all layers of a graph.
KEY = input("key", (3,), integer=True)


def _ones(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.ones(shape)


class Dropout(Layer, kind="dropout"):
    """y = x m / (1 − rate) in training, with a mask m that zeroes a share ``rate`` of the elements; y = x otherwise.

    The mask is keyed to (seed, step, micro-shard) and the layer's name, so it doesn't depend on the number of ranks.

    Raises:
        UsageError: for a rate outside its range.
    """

    plain = True

    def __init__(
        self,
        rate: BelowOne = 0.5,  #: the share of the elements that is zeroed
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.rate = rate
        DropoutOp(rate)  # refuses a rate out of range

    def __call__(self, x: Node) -> Node:
        node = apply(DropoutOp(self.rate), x, KEY)
        node.layer = self
        return node


class BatchNorm(Layer, kind="batch_norm"):
    """y = γ (x − μ) / √(σ² + ε) + β over all axes but the last.   x (N, …, C), ``gain`` γ and ``bias`` β (C,).

    In training μ and σ² are those of the micro-shard; ``mean`` and ``variance`` follow them, by a tenth of the way each
    step, for prediction. With the same ``parallel.shards`` they don't depend on the number of ranks. With ``whole``
    they are those of the whole mini-batch, which takes three more sums over the ranks in each step, and depend on
    nothing else: for micro-shards that are too small to tell.

    Raises:
        ShapeError: when called on a node without a fixed number of channels.
    """

    plain = True

    def __init__(
        self,
        epsilon: Positive = 1e-5,  #: ε
        *,
        whole: bool = False,  #: statistics of the whole mini-batch; its micro-shards are then one for each rank
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.epsilon, self.whole = epsilon, whole

    def __call__(self, x: Node) -> Node:
        channels = x.shape[-1] if len(x.shape) >= 2 else None
        if not isinstance(channels, int):
            raise ShapeError(f"BatchNorm: its input has shape {show(x.shape)}; expected (N, …, channels).")
        gain = self.parameter("gain", (channels,), _ones)
        bias = self.parameter("bias", (channels,), initial.zeros)
        mean = self.parameter("mean", (channels,), initial.zeros, trainable=False)
        variance = self.parameter("variance", (channels,), _ones, trainable=False)
        return apply(BatchNormOp(self.epsilon, whole=self.whole), x, gain, bias, mean, variance)
