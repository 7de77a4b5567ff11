"""Gradient descent: plain, with momentum, and Nesterov's.

An optimiser is a frozen description. ``bind`` turns it, with vectors that never move again, into the one function
that a step calls; any slice of a model's vectors will do, so that ranks may share the work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from distnn.errors import UsageError
from distnn.ops.op import Array

#: (scale, learning rate) → the values are updated. The gradient is multiplied by ``scale`` before anything else.
Update = Callable[[float, float], None]

#: Elements updated at a time: few enough for values, gradient, slot and scratch to stay in a core's cache from one
#: pass to the next (at 10 million parameters 1.3 times faster than whole vectors), enough to hide numpy's call.
BLOCK = 65536


@dataclass(frozen=True)
class SGD:
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
        weight_decay: λ ≥ 0, for the parameters named ``….weight`` and not for biases.

    Raises:
        UsageError: for a value outside its range.
    """

    learning_rate: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise UsageError(f"SGD: learning_rate is {self.learning_rate}; expected a number above 0.")
        if not 0 <= self.momentum < 1:
            raise UsageError(f"SGD: momentum is {self.momentum}; expected a number from 0 to below 1.")
        if not self.weight_decay >= 0:
            raise UsageError(f"SGD: weight_decay is {self.weight_decay}; expected 0 or more.")
        if self.nesterov and not self.momentum:
            raise UsageError("SGD: nesterov = true needs a momentum above 0.")

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the state vectors, each as long as the values."""
        return ("velocity",) if self.momentum else ()

    def decays(self, name: str) -> float:
        """The weight decay of the parameter called ``name``."""
        return self.weight_decay if name.endswith("weight") else 0.0

    def bind(self, values: Array, gradients: Array, slots: Mapping[str, Array], decay: Array | None) -> Update:
        """The update of these vectors, all of one length.

        Arguments:
            values: the parameters w, changed in place.
            gradients: the summed gradient; spoiled.
            slots: a vector for each name in ``slots``.
            decay: λ for each element, or None where nothing decays.
        """
        scratch = np.empty(min(BLOCK, len(values)), values.dtype)
        velocity = slots.get("velocity")
        blocks = []
        for start in range(0, len(values), BLOCK):
            part = slice(start, start + BLOCK)
            length = len(values[part])
            blocks.append(
                (
                    values[part],
                    gradients[part],
                    None if velocity is None else velocity[part],
                    None if decay is None else decay[part],
                    scratch[:length],
                )
            )

        def update(scale: float, learning_rate: float) -> None:
            for w, g, v, d, t in blocks:
                self._block(w, g, v, d, t, scale, learning_rate)

        return update

    def _block(
        self, w: Array, g: Array, v: Array | None, d: Array | None, t: Array, scale: float, learning_rate: float
    ) -> None:
        if v is None and d is None:
            np.multiply(g, scale * learning_rate, out=t)
            np.subtract(w, t, out=w)
            return
        np.multiply(g, scale, out=g)
        if d is not None:
            np.multiply(w, d, out=t)
            np.add(g, t, out=g)
        if v is not None:
            np.multiply(v, self.momentum, out=v)
            np.add(v, g, out=v)
            if self.nesterov:
                np.multiply(v, self.momentum, out=t)
                np.add(g, t, out=g)
        np.multiply(g if v is None or self.nesterov else v, learning_rate, out=t)
        np.subtract(w, t, out=w)
