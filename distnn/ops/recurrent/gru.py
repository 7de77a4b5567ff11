"""The gated recurrent unit."""

from __future__ import annotations

from distnn.arrays import Array
from distnn.ops.recurrent.recurrence import Move, Product, Recurrent, columns_of


class GRU(Recurrent):
    """r, z = σ of xₜ W + b + hₜ₋₁ R + c,   n = tanh(xₜ Wₙ + bₙ + r (hₜ₋₁ Rₙ + cₙ)),   hₜ = n + z (hₜ₋₁ − n).

    x (N, T, I), weight_input W (I, 3H), weight_recurrent R (H, 3H), bias_input b and bias_recurrent c (3H,) → y
    (N, T, H); h0, lengths and the final state as in `Recurrent`. The columns are those of r, z, n in this order, and
    the reset gate r works behind the product with R: the form of PyTorch and cuDNN. With m = hₜ₋₁ Rₙ + cₙ and dhₜ what
    flows into hₜ:

        ∂J/∂z = dhₜ (hₜ₋₁ − n),   ∂J/∂n = dhₜ (1 − z),   ∂J/∂r = dn m,   ∂J/∂m = dn r,   with dn = ∂J/∂n (1 − n²),
        dhₜ₋₁ = dhₜ z + (dr, dz, ∂J/∂m) Rᵀ + dyₜ₋₁,   dr and dz likewise those before σ

    Source: Cho et al., Learning Phrase Representations using RNN Encoder–Decoder, 2014.
    """

    kernels = "gru"
    gates = 3
    biases = ("bias_input", "bias_recurrent")
    apart = True  # m

    def advance(self, work: dict[str, Array], values: dict[str, Array], product: Product) -> Move:
        gates, hidden, room, apart = (work[name] for name in ("gates", "h0", "room", "apart"))
        columns, forward = columns_of(gates), self.chosen(room).forward
        biases = values["bias_input"], values["bias_recurrent"]

        def advance(t: int) -> None:
            product(hidden[t], room)
            forward(room, columns[t], biases, gates[t], hidden[t], apart[t], hidden[t + 1])

        return advance

    def derive(self, work: dict[str, Array]) -> Move:
        gates, hidden, apart, dh = (work[name] for name in ("gates", "h0", "apart", "dh0"))
        step, rooms, backward = work["step"], work["scratch"], self.chosen(work["step"]).backward
        return lambda t: backward(gates[t], hidden[t], apart[t], dh, step, rooms)
