"""The GRU's gates, row by row while a row is in the core's nearest cache; for float32."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from distnn.arrays import Array
from distnn.kernels.compiled.gates import ONE, sigmoids
from distnn.kernels.compiled.gates import tanh as _tanh


def prepare(dtype: npt.DTypeLike) -> None:
    """Compile all, or load them from the disk; nothing for float64, which the reference serves."""
    if np.dtype(dtype) != np.float32:
        return
    sums, row, gates = np.zeros((1, 3), np.float32), np.zeros((1, 1), np.float32), np.zeros((3, 1, 1), np.float32)
    forward(sums, sums, (sums[0], sums[0]), gates, row, row, row)
    backward(gates, row, row, row, sums, np.zeros((2, 1, 1), np.float32))


@njit(cache=True, nogil=True, error_model="numpy")
def forward(
    sums: Array, columns: Array, biases: tuple[Array, Array], gates: Array, before: Array, apart: Array, h: Array
) -> None:
    """A step forward, as in `distnn.kernels.gru`."""
    bias, recurrent = biases
    samples, units = h.shape
    for n in range(samples):  # all of them first: the gates take the columns' memory
        row, column, m = sums[n], columns[n], apart[n]
        for k in range(2 * units):
            row[k] = row[k] + recurrent[k] + column[k] + bias[k]
        for k in range(units):
            m[k] = row[2 * units + k] + recurrent[2 * units + k]
        for k in range(2 * units, 3 * units):
            row[k] = column[k] + bias[k]
    for n in range(samples):
        row, m, old, out = sums[n], apart[n], before[n], h[n]
        r, z, new = gates[0, n], gates[1, n], gates[2, n]
        sigmoids(row[:units], r)
        sigmoids(row[units : 2 * units], z)
        for k in range(units):
            new[k] = _tanh(row[2 * units + k] + r[k] * m[k])
        for k in range(units):
            out[k] = (old[k] - new[k]) * z[k] + new[k]


@njit(cache=True, nogil=True, error_model="numpy")
def backward(gates: Array, before: Array, apart: Array, dh: Array, step: Array, scratch: Array) -> None:
    """A step back, as in `distnn.kernels.gru`; ``scratch`` is unused, and the gates are not overwritten."""
    samples, units = dh.shape
    for n in range(samples):
        r, z, new = gates[0, n], gates[1, n], gates[2, n]
        row, m, old, into = step[n], apart[n], before[n], dh[n]
        dr, dz, dn = row[:units], row[units : 2 * units], row[2 * units :]
        for k in range(units):
            dn[k] = (ONE - new[k] * new[k]) * into[k] * (ONE - z[k])
        for k in range(units):
            dz[k] = z[k] * (ONE - z[k]) * ((old[k] - new[k]) * into[k])
            into[k] = into[k] * z[k]
        for k in range(units):
            dr[k] = r[k] * (ONE - r[k]) * (dn[k] * m[k])
            m[k] = dn[k] * r[k]
