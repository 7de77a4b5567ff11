"""A step of the GRU between its matrix products, and its gradients, with the functions of `distnn.kernels.gates`.

    r, z = σ of (h R + c) + x W + b,   m = h Rₙ + cₙ,   n = tanh(x Wₙ + bₙ + r m),   h′ = n + z (h − n)

The sums have the three gates side by side as columns (N, 3H), the gates are arrays of their own (3, N, H).
"""

from __future__ import annotations

import numpy as np

from distnn.arrays import Array
from distnn.kernels.gates import sigmoid, tanh


def forward(
    sums: Array, columns: Array, biases: tuple[Array, Array], gates: Array, before: Array, apart: Array, h: Array
) -> None:
    """A step forward.

    Arguments:
        sums: h R (N, 3H); overwritten.
        columns: x W (N, 3H), in the memory of ``gates``.
        biases: b and c (3H,).
        gates: r, z, n (3, N, H), to be filled.
        before: h (N, H).
        apart, h: m and h′ (N, H), to be filled.
    """
    bias, recurrent = biases
    units = h.shape[1]
    np.add(sums, recurrent, out=sums)
    np.copyto(apart, sums[:, 2 * units :])
    np.add(sums, columns, out=sums)
    np.copyto(sums[:, 2 * units :], columns[:, 2 * units :])
    np.add(sums, bias, out=sums)
    np.copyto(gates, sums.reshape(len(sums), 3, units).transpose(1, 0, 2))
    scratch = sums.reshape(gates.shape)
    r, z, n = gates
    sigmoid(r, scratch)
    sigmoid(z, scratch)
    np.multiply(r, apart, out=scratch[0])
    np.add(n, scratch[0], out=n)
    tanh(n, n, scratch)
    np.subtract(before, n, out=h)
    np.multiply(h, z, out=h)
    np.add(h, n, out=h)


def backward(gates: Array, before: Array, apart: Array, dh: Array, step: Array, scratch: Array) -> None:
    """A step back: the gradients of the sums, from what flows into h′.

    Arguments:
        gates: r, z, n (3, N, H); overwritten.
        before: h (N, H).
        apart: m (N, H), afterwards ∂J/∂m.
        dh: what flows into h′ (N, H), afterwards its part that flows into h through z.
        step: the gradients of the sums (N, 3H), to be filled.
        scratch: two arrays (N, H).
    """
    a, b = scratch
    r, z, n = gates
    np.subtract(before, n, out=a)
    np.multiply(a, dh, out=a)
    np.multiply(n, n, out=n)
    np.subtract(1, n, out=n)
    np.multiply(n, dh, out=n)
    np.multiply(dh, z, out=dh)
    np.subtract(1, z, out=b)
    np.multiply(n, b, out=n)
    np.multiply(z, b, out=z)
    np.multiply(z, a, out=z)
    np.multiply(n, apart, out=a)
    np.multiply(n, r, out=apart)
    np.subtract(1, r, out=b)
    np.multiply(r, b, out=r)
    np.multiply(r, a, out=r)
    np.copyto(step.reshape(len(step), 3, -1).transpose(1, 0, 2), gates)
