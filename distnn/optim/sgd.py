"""Gradient descent: plain, with momentum, and Nesterov's."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from distnn.arrays import Array
from distnn.errors import UsageError
from distnn.optim.optimizer import Block, Optimizer, Update


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent.

    With the mean gradient g of the batch, learning rate α, momentum μ and weight decay λ:

        g ← g + λ w        v ← μ v + g        w ← w − α v            (momentum; plain for μ = 0)
                                              w ← w − α (g + μ v)    (Nesterov)

    Sources: Robbins and Monro 1951; Polyak 1964; Nesterov 1983 in the form of Sutskever, Martens, Dahl and Hinton, On
    the importance of initialization and momentum in deep learning, 2013. The same update as torch.optim.SGD.

    Arguments:
        learning_rate: α > 0, which a schedule may scale.
        momentum: μ in [0, 1).
        nesterov: look ahead along the velocity; needs momentum.
        weight_decay: λ ≥ 0, for weights, but not for biases and gains.

    Raises:
        UsageError: for a value outside its range.
    """

    kind = "sgd"

    learning_rate: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        self._require("learning_rate", self.learning_rate > 0, "a number above 0")
        self._require("momentum", 0 <= self.momentum < 1, "a number from 0 to below 1")
        self._require("weight_decay", self.weight_decay >= 0, "0 or more")
        if self.nesterov and not self.momentum:
            raise UsageError("SGD: nesterov = true needs a momentum above 0.")

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        """The velocity, where there is momentum."""
        return ("velocity",) if self.momentum else ()

    def _fused(
        self, kernels: ModuleType, values: Array, gradients: Array, slots: list[Array], decay: Array | None
    ) -> Update | None:
        number, none = values.dtype.type, np.empty(0, values.dtype)

        def plain(scale: float, learning_rate: float, step: int) -> None:
            kernels.plain(values, gradients, number(scale * learning_rate))

        def momentum(scale: float, learning_rate: float, step: int) -> None:
            numbers = number(scale), number(self.momentum), number(learning_rate)
            kernels.momentum(values, gradients, *slots, none if decay is None else decay, *numbers, self.nesterov)

        if slots:
            return momentum
        return plain if decay is None else None

    def _block(self, block: Block, scale: float, learning_rate: float, step: int) -> None:
        w, g, slots, decay, t = block
        if not slots and decay is None:
            np.multiply(g, scale * learning_rate, out=t)
            np.subtract(w, t, out=w)
            return
        np.multiply(g, scale, out=g)
        if decay is not None:
            np.multiply(w, decay, out=t)
            np.add(g, t, out=g)
        for v in slots:
            np.multiply(v, self.momentum, out=v)
            np.add(v, g, out=v)
            if self.nesterov:
                np.multiply(v, self.momentum, out=t)
                np.add(g, t, out=g)
        np.multiply(slots[0] if slots and not self.nesterov else g, learning_rate, out=t)
        np.subtract(w, t, out=w)
