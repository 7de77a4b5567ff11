"""`distnn.kernels.fixed_point` in one pass over memory each."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from distnn.arrays import Array
from distnn.kernels.fixed_point import MAGIC, MAGIC_BITS, scratch

#: The bits of 2⁵², behind which 32 more make a whole number of them.
LOW_BITS = int(np.float64(2.0**52).view(np.int64))


def prepare(dtype: npt.DTypeLike) -> None:
    """Compile all for numbers of this type, or load them from the disk."""
    values, whole, ends, scales = np.zeros(1, dtype), np.zeros(1, np.int64), np.array([[0, 1]]), np.ones(1)
    accumulate(whole, values, ends, scales, whole.copy(), True, scratch())
    restore(values, whole, ends, scales, scales.copy(), scratch())


@njit(cache=True, nogil=True)
def accumulate(
    total: Array, values: Array, ends: Array, scales: Array, largest: Array, first: bool, buffer: Array
) -> None:
    """See `distnn.kernels.fixed_point.accumulate`."""
    integers = buffer.view(np.int64)
    for k in range(len(ends)):
        most = largest[k]
        for start in range(ends[k, 0], ends[k, 1], len(buffer)):
            stop = min(start + len(buffer), ends[k, 1])
            _round(values[start:stop], scales[k], buffer)
            if first:
                total[start:stop] = 0  # in the cache from here on
            most = max(most, _add(total[start:stop], integers))
        largest[k] = most


# Loops without branches become vector instructions, if indices can't be negative, which slices from 0 make plain.


@njit(cache=True, nogil=True)
def _round(values: Array, scale: float, out: Array) -> None:
    for i in range(len(values)):
        out[i] = np.float64(values[i]) * scale + MAGIC


@njit(cache=True, nogil=True)
def _add(total: Array, integers: Array) -> Any:
    most = np.int64(0)
    for i in range(len(total)):
        whole = integers[i] - MAGIC_BITS
        most = max(most, whole ^ (whole >> 63))
        total[i] += whole
    return most


@njit(cache=True, nogil=True)
def restore(values: Array, total: Array, ends: Array, scales: Array, largest: Array, buffer: Array) -> None:
    """See `distnn.kernels.fixed_point.restore`."""
    half = len(buffer) // 2
    high, low = buffer[:half], buffer[half:]
    for k in range(len(ends)):
        most = np.int64(0)
        for start in range(ends[k, 0], ends[k, 1], half):
            stop = min(start + half, ends[k, 1])
            most = max(most, _split(total[start:stop], high.view(np.int64), low.view(np.int64)))
            _join(values[start:stop], high, low, 1 / scales[k])
        largest[k] = values.dtype.type(np.float64(most) / scales[k])


@njit(cache=True, nogil=True)
def _split(total: Array, high: Array, low: Array) -> Any:
    """The upper and the lower 32 bits, as the bits of MAGIC + upper and 2⁵² + lower."""
    most = np.int64(0)
    for i in range(len(total)):
        whole = total[i]
        most = max(most, whole ^ (whole >> 63))
        high[i] = (whole >> 32) + MAGIC_BITS
        low[i] = (whole & 0xFFFFFFFF) | LOW_BITS
    return most


@njit(cache=True, nogil=True)
def _join(values: Array, high: Array, low: Array, unit: float) -> None:
    """Both differences are exact, and so is the product: the sum is rounded as a conversion of 64 bits would be."""
    for i in range(len(values)):
        values[i] = ((high[i] - MAGIC) * 2.0**32 + (low[i] - 2.0**52)) * unit
