"""`distnn.kernels.batch_norm` in one pass over memory each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from distnn.arrays import Array


def prepare(dtype: npt.DTypeLike) -> None:
    """Compile all for numbers of this type, or load them from the disk."""
    rows, row = np.zeros((1, 1), dtype), np.zeros(1, dtype)
    total(rows, 1, row, row.copy())
    squares(rows, row, 1, rows, row.copy(), row.copy())
    normalise(rows, row, row, row, row, 1, rows, rows)
    slopes(rows, rows, 1, rows, row, row.copy(), row.copy())
    spread(rows, rows, row, row, row, 1, rows, rows)


@njit(cache=True, nogil=True)
def total(x: Array, block: int, part: Array, out: Array) -> None:
    """See `distnn.kernels.batch_norm.total`."""
    out[:] = 0
    for start in range(0, len(x), block):
        part[:] = x[start]
        for i in range(start + 1, min(start + block, len(x))):
            row = x[i]
            for j in range(len(part)):
                part[j] += row[j]
        for j in range(len(part)):
            out[j] += part[j]


@njit(cache=True, nogil=True)
def squares(x: Array, mean: Array, block: int, scratch: Array, part: Array, out: Array) -> None:
    """See `distnn.kernels.batch_norm.squares`."""
    out[:] = 0
    for start in range(0, len(x), block):
        part[:] = 0
        for i in range(start, min(start + block, len(x))):
            row = x[i]
            for j in range(len(part)):
                centred = row[j] - mean[j]
                part[j] += centred * centred
        for j in range(len(part)):
            out[j] += part[j]


@njit(cache=True, nogil=True)
def normalise(
    x: Array, mean: Array, inverse: Array, gain: Array, bias: Array, block: int, normal: Array, out: Array
) -> None:
    """See `distnn.kernels.batch_norm.normalise`."""
    for i in range(len(x)):
        row, centred, result = x[i], normal[i], out[i]
        for j in range(len(mean)):
            value = (row[j] - mean[j]) * inverse[j]
            centred[j] = value
            result[j] = value * gain[j] + bias[j]


@njit(cache=True, nogil=True)
def slopes(dy: Array, normal: Array, block: int, scratch: Array, part: Array, of_bias: Array, of_gain: Array) -> None:
    """See `distnn.kernels.batch_norm.slopes`."""
    of_bias[:] = 0
    of_gain[:] = 0
    second = scratch[0]
    for start in range(0, len(dy), block):
        part[:] = 0
        second[:] = 0
        for i in range(start, min(start + block, len(dy))):
            row, other = dy[i], normal[i]
            for j in range(len(part)):
                part[j] += row[j]
                second[j] += row[j] * other[j]
        for j in range(len(part)):
            of_bias[j] += part[j]
            of_gain[j] += second[j]


@njit(cache=True, nogil=True)
def spread(
    dy: Array, normal: Array, shift: Array, scale: Array, factor: Array, block: int, scratch: Array, dx: Array
) -> None:
    """See `distnn.kernels.batch_norm.spread`."""
    for i in range(len(dy)):
        row, other, result = dy[i], normal[i], dx[i]
        for j in range(len(shift)):
            result[j] = (row[j] - other[j] * scale[j] - shift[j]) * factor[j]
