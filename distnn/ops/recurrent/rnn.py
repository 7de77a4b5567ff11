"""The simple recurrent cell."""

from __future__ import annotations

import numpy as np

from distnn.arrays import Array
from distnn.ops.recurrent.recurrence import Move, Product, Recurrent


class SimpleRNN(Recurrent):
    """hₜ = tanh(xₜ W + hₜ₋₁ R + b), for t = 1 … T.

    x (N, T, I), weight_input W (I, H), weight_recurrent R (H, H), bias b (H,) → y (N, T, H); h0, lengths and the final
    state as in `Recurrent`. With aₜ what tanh is taken of, and dhₜ what flows into hₜ from yₜ and from step t + 1:

        ∂J/∂aₜ = dhₜ (1 − hₜ²),   dhₜ₋₁ = ∂J/∂aₜ Rᵀ + dyₜ₋₁,   ∂J/∂R = Σₜ hₜ₋₁ᵀ ∂J/∂aₜ

    Source: Elman, Finding Structure in Time, 1990.
    """

    def advance(self, work: dict[str, Array], values: dict[str, Array], product: Product) -> Move:
        gates, hidden, room = work["gates"], work["h0"], work["room"]
        bias = values["bias"]

        def advance(t: int) -> None:
            product(hidden[t], room)
            np.add(room, gates[t, 0], out=room)
            np.add(room, bias, out=room)
            np.tanh(room, out=hidden[t + 1])

        return advance

    def derive(self, work: dict[str, Array]) -> Move:
        hidden, dh, a = work["h0"], work["dh0"], work["step"]

        def derive(t: int) -> None:
            h = hidden[t + 1]
            np.multiply(h, h, out=a)
            np.subtract(1, a, out=a)
            np.multiply(a, dh, out=a)
            np.copyto(dh, 0)

        return derive
