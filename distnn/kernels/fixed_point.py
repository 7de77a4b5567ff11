"""Sums of numbers as integers: the reference in numpy; `compiled.fixed_point` has the same in one pass.

Vectors are made of segments, contiguous pieces with a scale of their own each. Between them nothing is touched.
"""

from __future__ import annotations

import numpy as np

from distnn.arrays import Array

#: Numbers converted at a time: their float64 stay in a core's L2 cache.
BLOCK = 16384
#: A number of up to this many bits is converted exactly.
BITS = 51
#: 1.5 · 2⁵², from which float64 has whole numbers only: adding it rounds a number, and the lowest bits of the sum are
#: the integer. No instruction of AVX2 converts float64 to int64, but it has all that this needs.
MAGIC = 1.5 * 2.0**52
MAGIC_BITS = int(np.float64(MAGIC).view(np.int64))


def scratch() -> Array:
    """A buffer for one block in float64."""
    return np.empty(BLOCK)


def accumulate(
    total: Array, values: Array, ends: Array, scales: Array, largest: Array, first: bool, buffer: Array
) -> None:
    """total += round(values · scale), halves to even, in every segment; and the largest of these integers.

    Arguments:
        total: int64 (L,), overwritten if ``first``.
        values: float32 or float64 (L,).
        ends: intp (S, 2): where the segments start and stop.
        scales: float64 (S,): powers of two.
        largest: int64 (S,): becomes the largest of itself and of each segment's integers w ≥ 0, and ~w for w < 0. It is
            2⁵¹ or more where a product had more bits than `BITS`, was infinite or NaN, and ``total`` is wrong then.
        first: whether nothing is in ``total`` yet.
        buffer: a `scratch`.
    """
    with np.errstate(over="ignore"):  # it shows in the largest
        for k, (start, stop) in enumerate(ends.tolist()):
            most = int(largest[k])
            for at in range(start, stop, len(buffer)):
                block = total[at : min(at + len(buffer), stop)]
                floats = buffer[: len(block)]
                integers = floats.view(np.int64)
                np.copyto(floats, values[at : at + len(block)])
                np.multiply(floats, scales[k], out=floats)
                np.add(floats, MAGIC, out=floats)
                np.subtract(integers, MAGIC_BITS, out=integers)
                most = max(most, int(np.maximum.reduce(integers)), ~int(np.minimum.reduce(integers)))
                np.add(integers, 0 if first else block, out=block)
            largest[k] = most


def restore(values: Array, total: Array, ends: Array, scales: Array, largest: Array, buffer: Array) -> None:
    """values = total / scale in every segment, computed in float64.

    Arguments:
        values, total, ends, scales, buffer: as for `accumulate`.
        largest: float64 (S,): becomes the largest |value| of each segment, within a unit before it was rounded to the
            values' precision; 0 for an empty one, infinite where that hasn't such numbers.
    """
    with np.errstate(over="ignore"):  # it shows in the largest
        for k, (start, stop) in enumerate(ends.tolist()):
            most = 0
            for at in range(start, stop, len(buffer)):
                block = total[at : min(at + len(buffer), stop)]
                floats = buffer[: len(block)]
                most = max(most, int(np.maximum.reduce(block)), ~int(np.minimum.reduce(block)))
                np.copyto(floats, block)
                np.multiply(floats, 1 / scales[k], out=floats)
                np.copyto(values[at : at + len(block)], floats, casting="same_kind")
            largest[k] = values.dtype.type(float(most) / scales[k])
