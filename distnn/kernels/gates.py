"""A step of the LSTM between its matrix products: gates, cells and outputs, and their gradients.

    i, f, g, o = σ, σ, tanh, σ of z = h R + x W + b,   c′ = f c + i g,   h′ = o tanh c′

z has the four gates side by side as columns (N, 4H), the gates themselves are arrays of their own (4, N, H), for the
reason that `distnn.ops.recurrent.recurrence` gives. Float32 has a tanh of its own, of additions, multiplications and
one division, which have the same bits in numpy and compiled, and vector instructions on every CPU:

    tanh x = x P(x²) / Q(x²) on |x| ≤ 9,   ±1 beyond

with P and Q of degree 4, fitted to the least relative error (2e-8 before rounding, 4e-7 with it) by least squares
reweighted by the error (Lawson, Contributions to the theory of linear least maximum approximation, 1961).
σ(x) = (1 + tanh(x/2)) / 2. Float64 has numpy's tanh.
"""

from __future__ import annotations

import numpy as np

from distnn.arrays import Array

#: From here on tanh is 1.
LIMIT = 9.0
#: P and Q, the highest power first.
ABOVE = (1.33543520e-08, 2.06088524e-05, 3.49557404e-03, 1.33810138e-01, 9.99999979e-01)
BELOW = (7.77642944e-07, 3.28561182e-04, 2.58769286e-02, 4.67143294e-01, 1.0)


def tanh(x: Array, out: Array, scratch: Array) -> object:
    """tanh x into ``out``, which may be ``x``; ``scratch`` are three arrays of its shape."""
    if x.dtype != np.float32:
        return np.tanh(x, out=out)
    square, above, below = scratch
    np.minimum(x, LIMIT, out=out)  # twice as fast as clip
    np.maximum(out, -LIMIT, out=out)
    np.multiply(out, out, out=square)
    for polynomial, (first, second, *rest) in ((above, ABOVE), (below, BELOW)):
        np.multiply(square, first, out=polynomial)
        np.add(polynomial, second, out=polynomial)
        for coefficient in rest:
            np.multiply(polynomial, square, out=polynomial)
            np.add(polynomial, coefficient, out=polynomial)
    np.multiply(above, out, out=above)
    np.divide(above, below, out=out)
    np.minimum(out, 1, out=out)
    return np.maximum(out, -1, out=out)


def sigmoid(x: Array, scratch: Array) -> None:
    """σ(x) in place; ``scratch`` as for `tanh`."""
    np.multiply(x, 0.5, out=x)
    tanh(x, x, scratch)
    np.multiply(x, 0.5, out=x)
    np.add(x, 0.5, out=x)


def forward(
    z: Array, columns: Array, bias: Array, gates: Array, before: Array, after: Array, squashed: Array, h: Array
) -> None:
    """A step forward.

    Arguments:
        z: h R (N, 4H); overwritten.
        columns: x W (N, 4H), in the memory of ``gates``.
        bias: (4H,).
        gates: i, f, g, o (4, N, H), to be filled.
        before: c (N, H).
        after, squashed, h: c′, tanh c′ and h′ (N, H), to be filled.
    """
    np.add(z, columns, out=z)
    np.add(z, bias, out=z)
    np.copyto(gates, z.reshape(len(z), 4, -1).transpose(1, 0, 2))
    *scratch, spare = z.reshape(gates.shape)
    i, f, g, o = gates
    for gate in (i, f, o):
        sigmoid(gate, scratch)  # type: ignore[arg-type]
    tanh(g, g, scratch)  # type: ignore[arg-type]
    np.multiply(f, before, out=after)
    np.multiply(i, g, out=spare)
    np.add(after, spare, out=after)
    tanh(after, squashed, scratch)  # type: ignore[arg-type]
    np.multiply(o, squashed, out=h)


def backward(gates: Array, before: Array, squashed: Array, dh: Array, dc: Array, step: Array, scratch: Array) -> None:
    """A step back: ∂J/∂z from what flows into h′ and c′.

    Arguments:
        gates: i, f, g, o (4, N, H); overwritten.
        before, squashed: c and tanh c′ (N, H).
        dh: what flows into h′ (N, H); 0 afterwards.
        dc: what flows into c′ (N, H), afterwards into c.
        step: ∂J/∂z (N, 4H), to be filled.
        scratch: two arrays (N, H).
    """
    a, b = scratch
    i, f, g, o = gates
    np.multiply(squashed, squashed, out=b)
    np.subtract(1, b, out=b)
    np.multiply(b, o, out=b)
    np.multiply(b, dh, out=b)
    np.add(dc, b, out=dc)
    np.multiply(squashed, dh, out=a)
    _times_slope(o, a, b)
    np.multiply(dc, g, out=a)
    np.multiply(g, g, out=g)
    np.subtract(1, g, out=g)
    np.multiply(g, i, out=g)
    np.multiply(g, dc, out=g)
    _times_slope(i, a, b)
    np.multiply(dc, before, out=a)
    np.multiply(dc, f, out=dc)
    _times_slope(f, a, b)
    np.copyto(dh, 0)
    np.copyto(step.reshape(len(step), 4, -1).transpose(1, 0, 2), gates)


def _times_slope(gate: Array, gradient: Array, scratch: Array) -> None:
    """gate ← ∂J/∂gate · gate (1 − gate): what flows through σ."""
    np.subtract(1, gate, out=scratch)
    np.multiply(gate, scratch, out=gate)
    np.multiply(gate, gradient, out=gate)
