"""`distnn.kernels.softmax`, row by row while a row is in the core's nearest cache."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from distnn.arrays import Array


def prepare(dtype: npt.DTypeLike) -> None:
    """Compile all for numbers of this type and labels of 64 bits, or load them from the disk."""
    z, row, labels = np.zeros((1, 1), dtype), np.zeros(1, dtype), np.zeros(1, np.int64)
    shift(z, labels, labels, z.copy(), labels.astype(np.intp), row, row.copy())
    normalise(z, row, z)
    slopes(z, labels.astype(np.intp), row, row, z.copy())


@njit(cache=True, nogil=True, error_model="numpy")
def shift(z: Array, t: Array, starts: Array, p: Array, index: Array, picked: Array, row: Array) -> None:
    """See `distnn.kernels.softmax.shift`."""
    for n in range(len(z)):
        given, out = z[n], p[n]
        most = given[0]
        for j in range(1, len(given)):
            most = given[j] if (given[j] > most) | (given[j] != given[j]) else most
        for j in range(len(given)):
            out[j] = given[j] - most
        index[n] = t[n] + starts[n]
        picked[n] = out[t[n]]


@njit(cache=True, nogil=True, error_model="numpy")
def normalise(p: Array, row: Array, scratch: Array) -> None:
    """See `distnn.kernels.softmax.normalise`; ``scratch`` is unused."""
    for n in range(len(p)):
        values = p[n]
        total = values[0]
        for j in range(1, len(values)):
            total += values[j]
        row[n] = total
        for j in range(len(values)):
            values[j] = values[j] / total


@njit(cache=True, nogil=True, error_model="numpy")
def slopes(p: Array, index: Array, scale: Array, picked: Array, dz: Array) -> None:
    """See `distnn.kernels.softmax.slopes`."""
    factor, one, flat = scale[0], scale.dtype.type(1), p.reshape(-1)
    for n in range(len(p)):
        flat[index[n]] -= one
        values, out = p[n], dz[n]
        for j in range(len(values)):
            out[j] = values[j] * factor
