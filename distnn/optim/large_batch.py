"""LARS and LAMB: for large batches, steps that are scaled layer by layer to the size of the weights."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from distnn.arrays import Array
from distnn.optim.adam import Moments
from distnn.optim.optimizer import BLOCK, Block, Optimizer, Update, block, is_weight
from distnn.registry import BelowOne, NotNegative, Positive


class LayerSlices(NamedTuple):
    """One parameter: its pieces, its weight decay, and whether its step is scaled to it."""

    pieces: list[Block]
    decay: float
    scaled: bool

    def norms(self) -> tuple[float, float]:
        """‖w‖ and ‖g‖ of the whole parameter."""
        scratch = self.pieces[0].t
        return norm([piece.w for piece in self.pieces], scratch), norm([piece.g for piece in self.pieces], scratch)


class LayerWise(Optimizer):
    """What both share: parameter by parameter, the norms first, then the step.

    Only weights decay and have their steps scaled; biases, and gains of normalisations,
    take the step as it is, as in the large-batch rules of MLPerf Training.
    """

    layerwise = True

    def compiles(self, length: int) -> set[str]:
        """None: they are in numpy alone."""
        return set()

    def bind(
        self, values: Array, gradients: Array, slots: Mapping[str, Array], segments: Mapping[str, slice]
    ) -> Update:
        """The update of these vectors (`Optimizer.bind`); every segment must be a whole parameter."""
        scratch = np.empty(min(BLOCK, len(values)), values.dtype)
        state = [slots[name] for name in self.slots]
        layers = []
        for name, where in segments.items():
            cuts = [slice(start, min(start + BLOCK, where.stop)) for start in range(where.start, where.stop, BLOCK)]
            pieces = [block(values, gradients, state, None, scratch, cut) for cut in cuts]
            layers.append(LayerSlices(pieces, self.decays(name), is_weight(name)))

        def update(scale: float, learning_rate: float, step: int) -> None:
            for layer in layers:
                self._layer(layer, scale, learning_rate, step)

        return update

    @abstractmethod
    def _layer(self, layer: LayerSlices, scale: float, learning_rate: float, step: int) -> None:
        """The update of one parameter."""


def norm(arrays: Sequence[Array], scratch: Array) -> float:
    """‖·‖₂ of all ``arrays`` together.

    By numpy's pairwise sum, not by a BLAS: that could add in another order on ranks of other thread counts, and the
    ranks' parameters would drift apart.
    """
    total = 0.0
    for array in arrays:
        t = scratch[: len(array)]
        np.multiply(array, array, out=t)
        total += float(np.add.reduce(t))
    return math.sqrt(total)


@dataclass(frozen=True)
class LARS(LayerWise, kind="lars"):
    """Layer-wise adaptive rate scaling.

    With the mean gradient g of the batch, learning rate α, momentum μ, weight decay β and trust η, for each parameter:

        λ = η ‖w‖ / (‖g‖ + β ‖w‖)        v ← μ v + α λ (g + β w)        w ← w − v

    λ = 1 where ‖w‖ or ‖g‖ is 0. Source: You, Gitman and Ginsburg, Large Batch Training of Convolutional Networks, 2017.

    Raises:
        UsageError: for a value outside its range.
    """

    slots = ("velocity",)

    learning_rate: Positive = 1.0  #: the length of a step; a schedule's factor comes on top
    momentum: BelowOne = 0.9  #: how much of the last step is taken along
    weight_decay: NotNegative = 0.0005  #: pulls weights towards 0, but not biases and gains
    trust: Positive = 0.001  #: a layer's step as a fraction of the norm of its weights

    def _layer(self, layer: LayerSlices, scale: float, learning_rate: float, step: int) -> None:
        rate = learning_rate * (self._ratio(layer, scale) if layer.scaled else 1.0)
        for w, g, (v,), _, t in layer.pieces:
            np.multiply(g, rate * scale, out=g)
            if layer.decay:
                np.multiply(w, rate * layer.decay, out=t)
                np.add(g, t, out=g)
            np.multiply(v, self.momentum, out=v)
            np.add(v, g, out=v)
            np.subtract(w, v, out=w)

    def _ratio(self, layer: LayerSlices, scale: float) -> float:
        weight, gradient = layer.norms()
        gradient *= scale
        return self.trust * weight / (gradient + layer.decay * weight) if weight and gradient else 1.0


@dataclass(frozen=True)
class LAMB(LayerWise, Moments, kind="lamb"):
    """Layer-wise adaptive moments.

    With r of Adam's moments (`distnn.optim.adam.Moments`) for the mean gradient of the batch, learning rate α and
    weight decay λ, for each parameter:

        u = r + λ w        w ← w − α ‖w‖ / ‖u‖ u

    The ratio is 1 where ‖w‖ or ‖u‖ is 0. Source: You et al., Large Batch Optimization for Deep Learning: Training BERT
    in 76 minutes, 2020, algorithm 2 with φ(z) = z.
    """

    epsilon: Positive = 1e-6

    def _layer(self, layer: LayerSlices, scale: float, learning_rate: float, step: int) -> None:
        for piece in layer.pieces:
            np.multiply(piece.g, scale, out=piece.g)
            self._direction(piece, step)
            if layer.decay:
                np.multiply(piece.w, layer.decay, out=piece.t)
                np.add(piece.g, piece.t, out=piece.g)
        weight, direction = layer.norms() if layer.scaled else (0.0, 0.0)
        rate = learning_rate * (weight / direction if weight and direction else 1.0)
        for piece in layer.pieces:
            np.multiply(piece.g, rate, out=piece.g)
            np.subtract(piece.w, piece.g, out=piece.w)
