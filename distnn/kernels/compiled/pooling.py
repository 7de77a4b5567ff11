"""Max pooling by windows of 2 × 2 that don't overlap, in one pass; `distnn.ops.pooling` has all windows in numpy.

Images (N, H, W, C), pooled ones (N, H′, W′, C). All four elements of a window are in registers at a time: a loop over
any number of them runs at a tenth of the speed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from distnn.arrays import Array


def prepare(dtype: npt.DTypeLike) -> None:
    """Compile all for numbers of this type, or load them from the disk."""
    x, y = np.zeros((1, 2, 2, 1), dtype), np.zeros((1, 1, 1, 1), dtype)
    winner = np.zeros(y.shape, np.int32)
    maximum(x, 2, 2, y, winner)
    spread(y, winner, 2, 2, x)


@njit(cache=True, nogil=True)
def maximum(x: Array, down: int, across: int, y: Array, winner: Array) -> None:
    """The first maximum of each window, and its place, row by row; NaN where there is one.

    Arguments:
        x: images.
        down, across: the strides, at least 2.
        y: pooled images, to be filled.
        winner: the places (int32: as wide as the numbers, so that short loops have no remainder), to be filled.
    """
    for n in range(y.shape[0]):
        for i in range(y.shape[1]):
            upper, lower = x[n, i * down], x[n, i * down + 1]
            for j in range(y.shape[2]):
                a, b, c, d = upper[j * across], upper[j * across + 1], lower[j * across], lower[j * across + 1]
                out, won = y[n, i, j], winner[n, i, j]
                for k in range(len(out)):
                    most, place = a[k], np.int32(0)
                    place = np.int32(1) if b[k] > most else place
                    most = b[k] if (b[k] > most) | (b[k] != b[k]) else most
                    place = np.int32(2) if c[k] > most else place
                    most = c[k] if (c[k] > most) | (c[k] != c[k]) else most
                    place = np.int32(3) if d[k] > most else place
                    most = d[k] if (d[k] > most) | (d[k] != d[k]) else most
                    out[k], won[k] = most, place


@njit(cache=True, nogil=True)
def spread(dy: Array, winner: Array, down: int, across: int, dx: Array) -> None:
    """dx = dy at the winners' places, 0 elsewhere; the arguments are those of `maximum`."""
    covered = down == 2 and across == 2 and dx.shape[1] == 2 * dy.shape[1] and dx.shape[2] == 2 * dy.shape[2]
    for n in range(dy.shape[0]):
        if not covered:
            dx[n] = 0
        for i in range(dy.shape[1]):
            upper, lower = dx[n, i * down], dx[n, i * down + 1]
            for j in range(dy.shape[2]):
                slope, won, k = dy[n, i, j], winner[n, i, j], j * across
                _choose(slope, won, np.int32(0), upper[k])
                _choose(slope, won, np.int32(1), upper[k + 1])
                _choose(slope, won, np.int32(2), lower[k])
                _choose(slope, won, np.int32(3), lower[k + 1])


@njit(cache=True, nogil=True)
def _choose(slope: Array, won: Array, place: Any, target: Array) -> None:
    """One at a time: with more arrays than three, short loops aren't worth a check that they don't overlap."""
    zero = slope.dtype.type(0)
    for k in range(len(target)):
        target[k] = slope[k] if won[k] == place else zero
