"""The gated recurrent unit."""

from __future__ import annotations

import numpy as np

from distnn.ops.activation import sigmoid
from distnn.ops.op import Array
from distnn.ops.recurrent import Move, Recurrent, columns_of, gates_of


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

    onnx = "GRU"
    gates = 3
    biases = ("bias_input", "bias_recurrent")
    apart = True  # m

    def advance(self, work: dict[str, Array], values: dict[str, Array]) -> Move:
        gates, hidden, room, apart = (work[name] for name in ("gates", "h0", "room", "apart"))
        columns, by_gate, units = columns_of(gates), gates_of(room, 3), hidden.shape[-1]
        weight, bias_input, bias_recurrent = (values[name] for name in ("weight_recurrent", *self.biases))
        spare = room.reshape(gates.shape[1:])[0]

        def advance(t: int) -> None:
            before, h, m = hidden[t], hidden[t + 1], apart[t]
            np.matmul(before, weight, out=room)
            np.add(room, bias_recurrent, out=room)
            np.copyto(m, room[:, -units:])
            np.copyto(room[:, -units:], 0)
            np.add(room, columns[t], out=room)
            np.add(room, bias_input, out=room)
            np.copyto(gates[t], by_gate)
            r, z, n = gates[t]
            sigmoid(gates[t, :2], out=gates[t, :2])
            np.multiply(r, m, out=spare)
            np.add(n, spare, out=n)
            np.tanh(n, out=n)
            np.subtract(before, n, out=h)
            np.multiply(h, z, out=h)
            np.add(h, n, out=h)

        return advance

    def derive(self, work: dict[str, Array]) -> Move:
        gates, hidden, apart, dh = (work[name] for name in ("gates", "h0", "apart", "dh0"))
        (a, b), by_gate = work["scratch"], gates_of(work["step"], 3)

        def derive(t: int) -> None:
            (r, z, n), m = gates[t], apart[t]
            np.subtract(hidden[t], n, out=a)
            np.multiply(a, dh, out=a)
            np.multiply(n, n, out=n)
            np.subtract(1, n, out=n)
            np.multiply(n, dh, out=n)
            np.multiply(dh, z, out=dh)
            np.subtract(1, z, out=b)
            np.multiply(n, b, out=n)
            np.multiply(z, b, out=z)
            np.multiply(z, a, out=z)
            np.multiply(n, m, out=a)
            np.multiply(n, r, out=m)
            np.subtract(1, r, out=b)
            np.multiply(r, b, out=r)
            np.multiply(r, a, out=r)
            np.copyto(by_gate, gates[t])

        return derive
