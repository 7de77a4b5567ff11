"""Products of matrices whose rows lie anywhere: convolutions need no columns, and repeated products no new start.

They are made of tiles of sums that stay in registers. The order of a sum depends on neither the other rows nor the
blocks, but it isn't the BLAS's, and a product and its sum are rounded together where the CPU can: unlike those of the
other kernels, the last bits differ from numpy's.

Source: Georganas et al., Anatomy of High-Performance Deep Learning Convolutions on SIMD Architectures, 2018.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from distnn.arrays import Array
from distnn.kernels.compiled.tile import ROWS, VECTOR, six, tile


def prepare(dtype: npt.DTypeLike) -> None:
    """Compile all for numbers of this type, or load them from the disk."""
    flat, places = np.zeros(VECTOR, dtype), np.zeros(1, np.intp)
    lanes = VECTOR // flat.itemsize
    multiply(flat, 0, places, places, flat, 1, flat.copy(), 0, places)
    correlate(flat, 0, places, places, flat, 0, np.zeros((1, lanes), dtype), 1, False)


@njit(cache=True, nogil=True)
def multiply(
    x: Array, start: int, places: Array, taps: Array, kernel: Array, pieces: int, y: Array, origin: int, targets: Array
) -> None:
    """y[target] = Σₜ x[place + tapₜ] · kernel[t], for each place and its target.

    Arguments:
        x: images, or a matrix; flat.
        start, places: windows, or rows: their first elements are x[start + places[p]].
        taps: their elements, seen from the first.
        kernel: (pieces, taps, lanes), flat; the lanes fill `VECTOR` bytes.
        pieces: of the outputs.
        y: outputs, flat, to be filled.
        origin, targets: the first outputs of each are y[origin + targets[p]].
    """
    lanes, count = VECTOR // y.itemsize, len(taps)
    for piece in range(pieces):
        for p in range(0, len(places), ROWS):
            at, to = six(places, p, start), six(targets, p, origin + piece * lanes)
            tile(x, at, taps, kernel, (piece * count * lanes, lanes, count), y, to, False)


@njit(cache=True, nogil=True)
def correlate(
    x: Array, start: int, places: Array, taps: Array, dy: Array, origin: int, dkernel: Array, chunk: int, add: bool
) -> None:
    """dkernel[t] = Σₚ x[placeₚ + tapₜ] · dy[p], for each tap.

    Arguments:
        x, start, places, taps: as for `multiply`.
        dy: gradients (positions, outputs) from ``origin`` on, flat.
        dkernel: (taps, outputs), to be filled.
        chunk: positions that are summed before the sums go to memory: few enough for the L1 cache.
        add: whether to add to what dkernel has instead.
    """
    outputs, flat = dkernel.shape[1], dkernel.reshape(-1)
    lanes, along = VECTOR // dkernel.itemsize, np.arange(len(taps)) * outputs
    for first in range(0, len(places), chunk):
        seen = places[first : first + chunk]
        for piece in range(0, outputs, lanes):
            upper = origin + first * outputs + piece
            for t in range(0, len(taps), ROWS):
                at, to = six(taps, t, start), six(along, t, piece)
                tile(x, at, seen, dy, (upper, outputs, len(seen)), flat, to, add or first > 0)
