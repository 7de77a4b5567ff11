"""The long short-term memory."""

from __future__ import annotations

import numpy as np

from distnn.ops.activation import sigmoid
from distnn.ops.op import Array
from distnn.ops.recurrent import Move, Recurrent, columns_of, gates_of


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

    onnx = "LSTM"
    gates = 4
    states = ("h0", "c0")

    def advance(self, work: dict[str, Array], values: dict[str, Array]) -> Move:
        gates, hidden, cells, room = (work[name] for name in ("gates", "h0", "c0", "room"))
        weight, bias = values["weight_recurrent"], values["bias"]
        columns, by_gate = columns_of(gates), gates_of(room, 4)
        spare = room.reshape(gates.shape[1:])[0]

        def advance(t: int) -> None:
            np.matmul(hidden[t], weight, out=room)
            np.add(room, columns[t], out=room)
            np.add(room, bias, out=room)
            np.copyto(gates[t], by_gate)
            i, f, g, o = gates[t]
            c = cells[t + 1]
            sigmoid(gates[t, :2], out=gates[t, :2])
            sigmoid(o, out=o)
            np.tanh(g, out=g)
            np.multiply(f, cells[t], out=c)
            np.multiply(i, g, out=spare)
            np.add(c, spare, out=c)
            np.tanh(c, out=spare)
            np.multiply(o, spare, out=hidden[t + 1])

        return advance

    def derive(self, work: dict[str, Array]) -> Move:
        gates, cells, dh, dc = (work[name] for name in ("gates", "c0", "dh0", "dc0"))
        a, b = work["scratch"]

        def derive(t: int) -> None:
            i, f, g, o = gates[t]
            np.tanh(cells[t + 1], out=a)
            np.multiply(a, a, out=b)
            np.subtract(1, b, out=b)
            np.multiply(b, o, out=b)
            np.multiply(b, dh, out=b)
            np.add(dc, b, out=dc)
            np.multiply(a, dh, out=a)
            _times_slope(o, a, b)
            np.multiply(dc, g, out=a)
            np.multiply(g, g, out=g)
            np.subtract(1, g, out=g)
            np.multiply(g, i, out=g)
            np.multiply(g, dc, out=g)
            _times_slope(i, a, b)
            np.multiply(dc, cells[t], out=a)
            np.multiply(dc, f, out=dc)
            _times_slope(f, a, b)
            np.copyto(dh, 0)

        return derive


def _times_slope(gate: Array, gradient: Array, scratch: Array) -> None:
    """∂J/∂gate · gate (1 − gate), what flows through σ, in place of the gate."""
    np.subtract(1, gate, out=scratch)
    np.multiply(gate, scratch, out=gate)
    np.multiply(gate, gradient, out=gate)
