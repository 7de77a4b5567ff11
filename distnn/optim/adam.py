"""Adam and AdamW: steps that are scaled, element by element, by running moments of the gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import numpy as np

from distnn.arrays import Array
from distnn.optim.optimizer import Block, Optimizer, Update
from distnn.registry import BelowOne, NotNegative, Positive


@dataclass(frozen=True)
class Moments(Optimizer):
    """What optimisers with both of Adam's moments share.

    With the gradient g, β₁ and β₂, and t = 1, 2, … counting the steps:

        m ← β₁ m + (1 − β₁) g        v ← β₂ v + (1 − β₂) g²        r = m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)

    Attributes:
        coupled: whether the weight decay is added to g, rather than to r.

    Raises:
        UsageError: for a value outside its range.
    """

    slots = ("first_moment", "second_moment")
    coupled: ClassVar[bool] = False

    learning_rate: Positive = 0.001  #: the length of a step; a schedule's factor comes on top
    beta1: BelowOne = 0.9  #: decay of the mean gradient
    beta2: BelowOne = 0.999  #: decay of the mean squared gradient
    epsilon: Positive = 1e-8  #: keeps the division by the root of the mean square from blowing up
    weight_decay: NotNegative = 0.01  #: pulls weights towards 0, but not biases and gains

    def _fused(
        self, kernels: ModuleType, values: Array, gradients: Array, slots: list[Array], decay: Array | None
    ) -> Update:
        if decay is None:
            decay = np.empty(0, values.dtype)

        def update(scale: float, learning_rate: float, step: int) -> None:
            betas = self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2
            first, second = 1 / (1 - self.beta1 ** (step + 1)), 1 / math.sqrt(1 - self.beta2 ** (step + 1))
            numbers = np.array([scale, learning_rate, *betas, self.epsilon, first, second], values.dtype)
            kernels.moments(values, gradients, *slots, decay, numbers, self.coupled)

        return update

    def update(self, block: Block, scale: float, learning_rate: float, step: int) -> None:
        w, g, _, decay, t = block
        np.multiply(g, scale, out=g)
        if decay is not None and self.coupled:
            np.multiply(w, decay, out=t)
            np.add(g, t, out=g)
        self._direction(block, step)
        if decay is not None and not self.coupled:
            np.multiply(w, decay, out=t)
            np.add(g, t, out=g)
        np.multiply(g, learning_rate, out=g)
        np.subtract(w, g, out=w)

    def _direction(self, block: Block, step: int) -> None:
        """Follow the gradient with the moments, and put r in its place."""
        _, g, (m, v), _, t = block
        np.multiply(m, self.beta1, out=m)
        np.multiply(g, 1 - self.beta1, out=t)
        np.add(m, t, out=m)
        np.multiply(v, self.beta2, out=v)
        np.multiply(g, g, out=t)
        np.multiply(t, 1 - self.beta2, out=t)
        np.add(v, t, out=v)
        np.sqrt(v, out=t)
        np.multiply(t, 1 / math.sqrt(1 - self.beta2 ** (step + 1)), out=t)
        np.add(t, self.epsilon, out=t)
        np.divide(m, t, out=g)
        np.multiply(g, 1 / (1 - self.beta1 ** (step + 1)), out=g)


@dataclass(frozen=True)
class Adam(Moments, kind="adam"):
    """Adam: w ← w − α r, with r of `Moments` for the mean gradient g + λ w of the batch, and α the learning rate.

    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015. The same update as torch.optim.Adam.
    """

    coupled = True

    weight_decay: NotNegative = 0.0


class AdamW(Moments, kind="adamw"):
    """AdamW: w ← w − α λ w − α r, with r of `Moments` for the mean gradient of the batch alone, and weight decay λ.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019. The same update as torch.optim.AdamW.
    """
