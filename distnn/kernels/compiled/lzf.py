"""As `distnn.kernels.lzf`, which takes a hundred times as long."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from distnn.arrays import Array


def prepare(dtype: npt.DTypeLike) -> None:
    """Compile it, or load it from the disk; for bytes, whatever the type of other numbers."""
    unpacked(np.zeros(2, np.uint8))


@njit(cache=True, nogil=True, error_model="numpy")
def unpacked(packed: Array) -> int:
    """How many bytes there are in packed ones; −1 if these end in the middle."""
    place, length = 0, 0
    while place < len(packed):
        control = int(np.int64(packed[place]))
        if control < 32:
            length += control + 1
            place += control + 2
        else:
            length += (control >> 5) + 2
            place += 2
            if control >= 224:
                if place > len(packed):
                    return -1
                length += int(np.int64(packed[place - 1]))
                place += 1
    return length if place == len(packed) else -1
