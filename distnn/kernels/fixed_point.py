"""Adding numbers up as integers: the reference in numpy; `distnn.kernels.fused` has the same in one pass.

Vectors are made of segments, contiguous pieces with a scale of their own each. Between them nothing is touched.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Numbers converted at a time: their float64 and int64 stay in a core's L1 cache.
BLOCK = 1024


def scratch() -> Array:
    """Room for one block in float64 and one in int64."""
    return np.empty((2, BLOCK))


def accumulate(
    total: Array, values: Array, ends: Array, scales: Array, largest: Array, first: bool, room: Array
) -> None:
    """total += round(values · scale), halves to even, in every segment; and what the largest number was.

    Arguments:
        total: int64 (L,), overwritten if ``first``.
        values: float32 or float64 (L,).
        ends: intp (S, 2): where the segments start and stop.
        scales: float64 (S,): powers of two.
        largest: float64 (S,): becomes max(largest, |values|) of each segment, NaN if one of them is.
        first: whether nothing is in ``total`` yet.
        room: a `scratch`.

    Where |value · scale| is 2⁶³ or more, or no number, ``total`` is undefined afterwards.
    """
    wide, whole = room[0], room[1].view(np.int64)
    for k, (start, stop) in enumerate(ends.tolist()):
        segment = values[start:stop]
        found = _largest(segment)
        largest[k] = np.maximum(largest[k], found)
        if not found * scales[k] < 2.0**62:
            continue
        for at in range(start, stop, BLOCK):
            block = total[at : min(at + BLOCK, stop)]
            floats, integers = wide[: len(block)], whole[: len(block)]
            np.copyto(floats, values[at : at + len(block)])
            np.multiply(floats, scales[k], out=floats)
            np.rint(floats, out=floats)
            np.copyto(integers, floats, casting="unsafe")
            np.add(integers, 0 if first else block, out=block)


def restore(values: Array, total: Array, ends: Array, scales: Array, largest: Array, room: Array) -> None:
    """values = total / scale in every segment, rounded once to the values' precision.

    Arguments:
        values: float32 or float64 (L,).
        total: int64 (L,).
        ends: intp (S, 2): where the segments start and stop.
        scales: float64 (S,): powers of two.
        largest: float64 (S,): becomes the largest |value| of each segment; 0 for an empty one.
        room: a `scratch`.
    """
    wide = room[0]
    for k, (start, stop) in enumerate(ends.tolist()):
        for at in range(start, stop, BLOCK):
            block = values[at : min(at + BLOCK, stop)]
            floats = wide[: len(block)]
            np.copyto(floats, total[at : at + len(block)])
            np.multiply(floats, 1 / scales[k], out=floats)
            np.copyto(block, floats, casting="same_kind")
        largest[k] = _largest(values[start:stop])


def _largest(values: Array) -> float:
    """max |values|, NaN if one of them is, 0 if there is none."""
    high, low = np.maximum.reduce(values, initial=0), np.minimum.reduce(values, initial=0)
    return float(np.maximum(high, -low))
