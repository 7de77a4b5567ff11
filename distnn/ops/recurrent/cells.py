"""The recurrent cells: what a step computes beside the products of matrices that all cells share."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Protocol

import numpy as np

from distnn.arrays import Array
from distnn.kernels.loading import load, reference
from distnn.ops.op import Buffer
from distnn.ops.recurrent.products import Product

#: What a cell does at step t.
CellStep = Callable[[int], object]


class Cell(Protocol):
    """A recurrent cell with k gates and H units, for `distnn.ops.recurrent.recurrence.Recurrence`.

    ``work`` has, beside the buffers that the cell asks for, ``gates`` (T, k, N, H), in whose memory forward finds the
    projections of the input x W as (T, N, kH) (`columns_of`); ``projected`` (N, kH) for h R; for each state its
    values before and after every step, such as ``h0`` (T + 1, N, H), and its gradient, ``dh0`` (N, H); ``step`` (N, kH)
    for the gradients of a step's pre-activations; and ``scratch`` (2, N, H).

    Attributes:
        label: what messages and drawings call it.
        gates: k, the number of blocks of H columns in the weights.
        states: the names of the vectors of H that are the state.
        biases: the names of the biases, (kH,) each.
        apart: whether the last gate keeps what comes from h apart from what comes from x, in ``work["apart"]``
            (T, N, H).
        kernels: the compiled kernels it uses (`distnn.kernels.loading`), if any.
    """

    label: str
    gates: int
    states: tuple[str, ...]
    biases: tuple[str, ...]
    apart: bool
    kernels: str

    def work(self, steps: int, samples: int, units: int) -> dict[str, Buffer]:
        """The buffers of its own, for T, N and H; none by default."""
        return {}

    def advance(self, work: dict[str, Array], biases: list[Array], product: Product) -> CellStep:
        """What writes the states after step t from those before it and the projections of the input.

        ``product(a, out)`` writes a times ``weight_recurrent``.
        """

    def derive(self, work: dict[str, Array]) -> CellStep:
        """What turns the gradients of the states after step t into those of its pre-activations.

        They are written into ``work["step"]``; what forward saved may be overwritten. The gradients of the states after
        the step become those of the states before it, without the part that flows through ``weight_recurrent``.
        """


def columns_of(gates: Array) -> Array:
    """The memory of (T, k, N, H) seen as (T, N, kH)."""
    steps, count, samples, units = gates.shape
    return gates.reshape(steps, samples, count * units)


def _kernels(name: str, array: Array) -> ModuleType:
    """The kernels for arrays like this one: the compiled ones have float32 only."""
    return load(name) if array.dtype == np.float32 else reference(name)


class SimpleRNN(Cell):
    """hₜ = tanh(xₜ W + hₜ₋₁ R + b), for t = 1 … T.

    x (N, T, I), weight_input W (I, H), weight_recurrent R (H, H), bias b (H,) → y (N, T, H). With aₜ what tanh is taken
    of, and dhₜ what flows into hₜ from yₜ and from step t + 1:

        ∂J/∂aₜ = dhₜ (1 − hₜ²),   dhₜ₋₁ = ∂J/∂aₜ Rᵀ + dyₜ₋₁,   ∂J/∂R = Σₜ hₜ₋₁ᵀ ∂J/∂aₜ

    Source: Elman, Finding Structure in Time, 1990.
    """

    label, gates, states, biases, apart, kernels = "simplernn", 1, ("h0",), ("bias",), False, ""

    def advance(self, work: dict[str, Array], biases: list[Array], product: Product) -> CellStep:
        gates, hidden, projected, (bias,) = work["gates"], work["h0"], work["projected"], biases

        def advance(t: int) -> None:
            product(hidden[t], projected)
            np.add(projected, gates[t, 0], out=projected)
            np.add(projected, bias, out=projected)
            np.tanh(projected, out=hidden[t + 1])

        return advance

    def derive(self, work: dict[str, Array]) -> CellStep:
        hidden, dh, a = work["h0"], work["dh0"], work["step"]

        def derive(t: int) -> None:
            h = hidden[t + 1]
            np.multiply(h, h, out=a)
            np.subtract(1, a, out=a)
            np.multiply(a, dh, out=a)
            np.copyto(dh, 0)

        return derive


class GRU(Cell):
    """r, z = σ of xₜ W + b + hₜ₋₁ R + c,   n = tanh(xₜ Wₙ + bₙ + r (hₜ₋₁ Rₙ + cₙ)),   hₜ = n + z (hₜ₋₁ − n).

    x (N, T, I), weight_input W (I, 3H), weight_recurrent R (H, 3H), bias_input b and bias_recurrent c (3H,) → y
    (N, T, H). The columns are those of r, z, n in this order, and the reset gate r multiplies after the product with R:
    the form of PyTorch and cuDNN. With m = hₜ₋₁ Rₙ + cₙ and dhₜ what flows into hₜ:

        ∂J/∂z = dhₜ (hₜ₋₁ − n),   ∂J/∂n = dhₜ (1 − z),   ∂J/∂r = dn m,   ∂J/∂m = dn r,   with dn = ∂J/∂n (1 − n²),
        dhₜ₋₁ = dhₜ z + (dr, dz, ∂J/∂m) Rᵀ + dyₜ₋₁,   dr and dz likewise those before σ

    Source: Cho et al., Learning Phrase Representations using RNN Encoder–Decoder, 2014.
    """

    label, gates, states, biases = "gru", 3, ("h0",), ("bias_input", "bias_recurrent")
    apart, kernels = True, "gru"  # m is kept apart

    def advance(self, work: dict[str, Array], biases: list[Array], product: Product) -> CellStep:
        gates, hidden, projected, apart = (work[name] for name in ("gates", "h0", "projected", "apart"))
        columns, both, forward = columns_of(gates), tuple(biases), _kernels(self.kernels, projected).forward

        def advance(t: int) -> None:
            product(hidden[t], projected)
            forward(projected, columns[t], both, gates[t], hidden[t], apart[t], hidden[t + 1])

        return advance

    def derive(self, work: dict[str, Array]) -> CellStep:
        gates, hidden, apart, dh = (work[name] for name in ("gates", "h0", "apart", "dh0"))
        step, scratch, backward = work["step"], work["scratch"], _kernels(self.kernels, work["step"]).backward
        return lambda t: backward(gates[t], hidden[t], apart[t], dh, step, scratch)


class LSTM(Cell):
    """Gates i, f, g, o = σ, σ, tanh, σ of xₜ W + hₜ₋₁ R + b;   cₜ = f cₜ₋₁ + i g,   hₜ = o tanh cₜ,   for t = 1 … T.

    x (N, T, I), weight_input W (I, 4H), weight_recurrent R (H, 4H), bias b (4H,) → y (N, T, H). The columns are those
    of i, f, g, o in this order, as in PyTorch and cuDNN, whose two biases are added up here. With dhₜ and dcₜ what
    flows into hₜ and cₜ:

        dcₜ += dhₜ o (1 − tanh² cₜ),   ∂J/∂i = dcₜ g,   ∂J/∂f = dcₜ cₜ₋₁,   ∂J/∂g = dcₜ i,   ∂J/∂o = dhₜ tanh cₜ,
        dcₜ₋₁ = dcₜ f,   dhₜ₋₁ = dzₜ Rᵀ + dyₜ₋₁,   each dz = ∂J/∂gate · gate (1 − gate), for g (1 − g²)

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997, with the forget gate of Gers, Schmidhuber and
    Cummins, Learning to Forget, 2000.
    """

    label, gates, states, biases, apart, kernels = "lstm", 4, ("h0", "c0"), ("bias",), False, "gates"

    def work(self, steps: int, samples: int, units: int) -> dict[str, Buffer]:
        return {"squashed": Buffer((steps, samples, units), "saved")}

    def advance(self, work: dict[str, Array], biases: list[Array], product: Product) -> CellStep:
        gates, hidden, cells, squashed = (work[name] for name in ("gates", "h0", "c0", "squashed"))
        columns, projected, (bias,) = columns_of(gates), work["projected"], biases
        forward = _kernels(self.kernels, projected).forward

        def advance(t: int) -> None:
            product(hidden[t], projected)
            forward(projected, columns[t], bias, gates[t], cells[t], cells[t + 1], squashed[t], hidden[t + 1])

        return advance

    def derive(self, work: dict[str, Array]) -> CellStep:
        gates, cells, squashed, dh, dc = (work[name] for name in ("gates", "c0", "squashed", "dh0", "dc0"))
        step, scratch, backward = work["step"], work["scratch"], _kernels(self.kernels, work["step"]).backward
        return lambda t: backward(gates[t], cells[t], squashed[t], dh, dc, step, scratch)
