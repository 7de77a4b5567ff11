"""Gradient descent: plain, with momentum, and Nesterov's."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from distnn.arrays import Array
from distnn.errors import UsageError
from distnn.optim.optimizer import Block, Optimizer, Update
from distnn.registry import BelowOne, NotNegative, Positive


@dataclass(frozen=True)
class SGD(Optimizer, kind="sgd"):
    """Stochastic gradient descent.

    With the mean gradient g of the batch, learning rate α, momentum μ and weight decay λ:

        g ← g + λ w        v ← μ v + g        w ← w − α v            (momentum; plain for μ = 0)
                                              w ← w − α (g + μ v)    (Nesterov)

    Sources: Robbins and Monro 1951; Polyak 1964; Nesterov 1983 in the form of Sutskever, Martens, Dahl and Hinton, On
    the importance of initialization and momentum in deep learning, 2013. The same update as torch.optim.SGD.

    Raises:
        UsageError: for a value outside its range, or ``nesterov`` without momentum.
    """

    learning_rate: Positive = 0.1  #: the length of a step; a schedule's factor comes on top
    momentum: BelowOne = 0.0  #: how much of the last step is taken along
    nesterov: bool = False  #: look ahead along the velocity; needs momentum
    weight_decay: NotNegative = 0.0  #: pulls weights towards 0, but not biases and gains

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum:
            raise UsageError(
                f"{type(self).__name__}: nesterov is true, which needs a momentum above 0, such as momentum = 0.9."
            ).at("nesterov")

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

    def update(self, block: Block, scale: float, learning_rate: float, step: int) -> None:
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
