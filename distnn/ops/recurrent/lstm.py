"""The long short-term memory."""

from __future__ import annotations

from distnn.arrays import Array
from distnn.ops.op import Work
from distnn.ops.recurrent.recurrence import Move, Product, Recurrent, columns_of


class LSTM(Recurrent):
    """Gates i, f, g, o = σ, σ, tanh, σ of xₜ W + hₜ₋₁ R + b;   cₜ = f cₜ₋₁ + i g,   hₜ = o tanh cₜ,   for t = 1 … T.

    x (N, T, I), weight_input W (I, 4H), weight_recurrent R (H, 4H), bias b (4H,) → y (N, T, H); h0, c0, lengths and
    the final state as in `Recurrent`. The columns are those of i, f, g, o in this order, as in PyTorch and cuDNN, whose
    two biases are added up here. With dhₜ and dcₜ what flows into hₜ and cₜ:

        dcₜ += dhₜ o (1 − tanh² cₜ),   ∂J/∂i = dcₜ g,   ∂J/∂f = dcₜ cₜ₋₁,   ∂J/∂g = dcₜ i,   ∂J/∂o = dhₜ tanh cₜ,
        dcₜ₋₁ = dcₜ f,   dhₜ₋₁ = dzₜ Rᵀ + dyₜ₋₁,   each dz = ∂J/∂gate · gate (1 − gate), for g (1 − g²)

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997, with the forget gate of Gers, Schmidhuber and
    Cummins, Learning to Forget, 2000.
    """

    kernels = "gates"
    gates = 4
    states = ("h0", "c0")

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Work]:
        samples, steps, hidden = inputs[0][0], inputs[0][1], y[-1]
        return super().work(y, *inputs) | {"squashed": Work((steps, samples, hidden), "saved")}

    def advance(self, work: dict[str, Array], values: dict[str, Array], product: Product) -> Move:
        gates, hidden, cells, squashed, room = (work[name] for name in ("gates", "h0", "c0", "squashed", "room"))
        bias, columns = values["bias"], columns_of(gates)
        forward = self.chosen(room).forward

        def advance(t: int) -> None:
            product(hidden[t], room)
            forward(room, columns[t], bias, gates[t], cells[t], cells[t + 1], squashed[t], hidden[t + 1])

        return advance

    def derive(self, work: dict[str, Array]) -> Move:
        gates, cells, squashed, dh, dc = (work[name] for name in ("gates", "c0", "squashed", "dh0", "dc0"))
        step, rooms, backward = work["step"], work["scratch"], self.chosen(work["step"]).backward
        return lambda t: backward(gates[t], cells[t], squashed[t], dh, dc, step, rooms)
