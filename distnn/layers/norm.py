"""Batch norm and layer norm."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np

from distnn.arrays import Array, show
from distnn.errors import ShapeError
from distnn.graph.functions import layer_norm
from distnn.graph.node import Node, apply
from distnn.layers import initial
from distnn.layers.layer import Layer
from distnn.ops.batch_norm import BatchNorm as BatchNormOp
from distnn.registry import Count, Positive


def _ones(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.ones(shape)


@dataclass(eq=False, repr=False)
class BatchNorm(Layer, kind="batch_norm"):
    """y = γ (x − μ) / √(σ² + ε) + β over all axes but the last.   x (N, …, C), ``gain`` γ and ``bias`` β (C,).

    In training μ and σ² are those of the micro-shard; ``mean`` and ``variance`` follow them, by a tenth of the way each
    step, for prediction. With the same ``parallel.shards`` they don't depend on the number of ranks. With ``whole``
    they are those of the whole mini-batch, which takes three more sums over the ranks in each step, and depend on
    nothing else: for micro-shards that are too small to tell. A single value of a channel has no variance: training
    refuses a batch size whose smallest micro-shard, or with ``whole`` whose smallest batch, has no more.

    Raises:
        UsageError: for an ε outside its range.
        ShapeError: when called on a node without a fixed number of channels.
    """

    plain = True

    epsilon: Positive = 1e-5  #: ε
    _: KW_ONLY
    whole: bool = False  #: statistics of the whole mini-batch; its micro-shards are then one for each rank

    def __call__(self, x: Node) -> Node:
        channels = x.shape[-1] if len(x.shape) >= 2 else None
        if not isinstance(channels, int):
            raise ShapeError(f"BatchNorm: its input has shape {show(x.shape)}; expected (N, …, channels).")
        gain = self.parameter("gain", (channels,), _ones)
        bias = self.parameter("bias", (channels,), initial.zeros)
        mean = self.parameter("mean", (channels,), initial.zeros, trainable=False)
        variance = self.parameter("variance", (channels,), _ones, trainable=False)
        return apply(BatchNormOp(self.epsilon, whole=self.whole), x, gain, bias, mean, variance)


@dataclass(eq=False, repr=False)
class LayerNorm(Layer, kind="layer_norm"):
    """y = γ (x − μ) / √(σ² + ε) + β with μ and σ² over the last axes.   x (N, …, D…), ``gain`` γ and ``bias`` β (D…).

    Each sample, and each position of a sequence, has its own statistics: prediction computes what training does.

    Raises:
        UsageError: for fewer than one axis, or an ε outside its range.
        ShapeError: when called on a node that hasn't so many axes of fixed length after the batch.
    """

    plain = True

    axes: Count = 1  #: how many of the last axes D… has
    epsilon: Positive = 1e-5  #: ε

    def __call__(self, x: Node) -> Node:
        features = tuple(length for length in x.shape[-self.axes :] if isinstance(length, int))
        if len(features) < self.axes or len(x.shape) <= self.axes:
            raise ShapeError(
                f"{self.called(self.axes)}: its input has shape {show(x.shape)}; expected (N, …) with {self.axes} or "
                f"more axes of fixed length after the batch."
            )
        gain = self.parameter("gain", features, _ones)
        return layer_norm(x, gain, self.parameter("bias", features, initial.zeros), self.epsilon)
