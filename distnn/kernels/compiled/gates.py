"""The LSTM's gates, row by row while a row is in the core's nearest cache; for float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from distnn.arrays import Array
from distnn.kernels.gates import ABOVE, BELOW
from distnn.kernels.gates import LIMIT as _LIMIT

LIMIT, ONE, HALF = np.float32(_LIMIT), np.float32(1), np.float32(0.5)
A4, A3, A2, A1, A0 = map(np.float32, ABOVE)
B4, B3, B2, B1, B0 = map(np.float32, BELOW)


def prepare(dtype: npt.DTypeLike) -> None:
    """Compile all, or load them from the disk; nothing for float64, which the reference serves."""
    if np.dtype(dtype) != np.float32:
        return
    z, row, gates = np.zeros((1, 4), np.float32), np.zeros((1, 1), np.float32), np.zeros((4, 1, 1), np.float32)
    forward(z, z, z[0], gates, row, row, row, row)
    backward(gates, row, row, row, row, z, gates)


@njit(cache=True, nogil=True, error_model="numpy")
def tanh(x: Any) -> Any:
    """One number's tanh, as in `distnn.kernels.gates`."""
    x = LIMIT if x > LIMIT else x
    x = -LIMIT if x < -LIMIT else x
    s = x * x
    above = ((((s * A4 + A3) * s + A2) * s + A1) * s + A0) * x
    y = above / ((((s * B4 + B3) * s + B2) * s + B1) * s + B0)
    y = ONE if y > ONE else y
    return -ONE if y < -ONE else y


@njit(cache=True, nogil=True, error_model="numpy")
def sigmoids(z: Array, out: Array) -> None:
    """σ of each."""
    for k in range(len(out)):
        out[k] = tanh(z[k] * HALF) * HALF + HALF


@njit(cache=True, nogil=True, error_model="numpy")
def _tanhs(z: Array, out: Array) -> None:
    for k in range(len(out)):
        out[k] = tanh(z[k])


@njit(cache=True, nogil=True, error_model="numpy")
def forward(
    z: Array, columns: Array, bias: Array, gates: Array, before: Array, after: Array, squashed: Array, h: Array
) -> None:
    """A step forward, as in `distnn.kernels.gates`."""
    samples, units = after.shape
    for n in range(samples):  # all of them first: the gates take the columns' memory
        row, column = z[n], columns[n]
        for k in range(len(row)):
            row[k] = row[k] + column[k] + bias[k]
    for n in range(samples):
        row = z[n]
        i, f, g, o = gates[0, n], gates[1, n], gates[2, n], gates[3, n]
        sigmoids(row[:units], i)
        sigmoids(row[units : 2 * units], f)
        _tanhs(row[2 * units : 3 * units], g)
        sigmoids(row[3 * units :], o)
        old, new, flat, out = before[n], after[n], squashed[n], h[n]
        for k in range(units):
            new[k] = f[k] * old[k] + i[k] * g[k]
        _tanhs(new, flat)
        for k in range(units):
            out[k] = o[k] * flat[k]


@njit(cache=True, nogil=True, error_model="numpy")
def backward(gates: Array, before: Array, squashed: Array, dh: Array, dc: Array, step: Array, scratch: Array) -> None:
    """A step back, as in `distnn.kernels.gates`; ``scratch`` is unused, and the gates are not overwritten."""
    samples, units = dh.shape
    for n in range(samples):
        i, f, g, o = gates[0, n], gates[1, n], gates[2, n], gates[3, n]
        row, old, flat, into, cell = step[n], before[n], squashed[n], dh[n], dc[n]
        for k in range(units):
            cell[k] = cell[k] + (ONE - flat[k] * flat[k]) * o[k] * into[k]
        _slopes(o, flat, into, row[3 * units :])
        _slopes(i, cell, g, row[:units])
        _slopes(f, cell, old, row[units : 2 * units])
        out = row[2 * units : 3 * units]
        for k in range(units):
            out[k] = (ONE - g[k] * g[k]) * i[k] * cell[k]
        for k in range(units):
            cell[k] = cell[k] * f[k]
            into[k] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _slopes(gate: Array, a: Array, b: Array, out: Array) -> None:
    """∂J/∂gate = a b, times gate (1 − gate)."""
    for k in range(len(out)):
        out[k] = gate[k] * (ONE - gate[k]) * (a[k] * b[k])
