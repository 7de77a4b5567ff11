"""Kernels of `distnn.kernels.fixed_point` in one pass over memory, compiled by numba: the same bits, in less time.

Compiled once and kept on disk beside this file, or, where that can't be written to, in the user's cache folder.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[Any]


@njit(cache=True, nogil=True)
def accumulate(
    total: Array, values: Array, ends: Array, scales: Array, largest: Array, first: bool, room: Array
) -> None:
    """See `distnn.kernels.fixed_point.accumulate`."""
    for k in range(len(ends)):
        scale, most, strange = scales[k], largest[k], 0
        for i in range(ends[k, 0], ends[k, 1]):
            value = np.float64(values[i])
            size = abs(value)
            strange += size != size
            most = max(most, size)
            whole = np.int64(np.rint(value * scale))
            total[i] = whole if first else total[i] + whole
        largest[k] = np.nan if strange else most


@njit(cache=True, nogil=True)
def restore(values: Array, total: Array, ends: Array, scales: Array, largest: Array, room: Array) -> None:
    """See `distnn.kernels.fixed_point.restore`."""
    for k in range(len(ends)):
        scale, most = 1 / scales[k], 0.0
        for i in range(ends[k, 0], ends[k, 1]):
            value = values.dtype.type(np.float64(total[i]) * scale)
            values[i] = value
            most = max(most, np.float64(abs(value)))
        largest[k] = most
