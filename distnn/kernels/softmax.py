"""The softmax of rows of logits, and the slope of its cross-entropy; the exponential between them is numpy's.

Arrays: logits z, then shifted logits, exponentials and probabilities p (N, C); labels t (N,) in 0 … C−1; where the
labels' numbers are in p's flat memory, ``index`` (N,); one number for each row, ``row`` and ``picked`` (N,).
"""

from __future__ import annotations

import numpy as np

from distnn.arrays import Array


def shift(z: Array, t: Array, starts: Array, p: Array, index: Array, picked: Array, row: Array) -> None:
    """p = z − max z of each row, so that no exponential overflows; ``picked`` = the labels' p.

    Arguments:
        starts: where each row starts in flat memory.
        row: scratch.
    """
    np.maximum.reduce(z, axis=1, out=row)
    np.subtract(z, row[:, None], out=p)
    np.add(t, starts, out=index)
    p.reshape(-1).take(index, out=picked, mode="clip")  # "raise" would copy through a buffer


def normalise(p: Array, row: Array, scratch: Array) -> None:
    """``row`` = Σⱼ pⱼ, one after the other, and p ← p / ``row``.

    Arguments:
        scratch: (M, C), for the sums of M rows at a time.
    """
    for start in range(0, len(p), len(scratch)):
        piece = p[start : start + len(scratch)]
        np.add.accumulate(piece, axis=1, out=scratch[: len(piece)])  # a reduction's order would be numpy's own
        np.copyto(row[start : start + len(piece)], scratch[: len(piece), -1])
    np.divide(p, row[:, None], out=p)


def slopes(p: Array, index: Array, scale: Array, picked: Array, dz: Array) -> None:
    """dz = (p − onehot(t)) · ``scale``; p and ``picked`` are overwritten.

    Arguments:
        scale: an array of one number.
    """
    flat = p.reshape(-1)
    flat.take(index, out=picked, mode="clip")
    np.subtract(picked, 1, out=picked)
    flat.put(index, picked, mode="clip")
    np.multiply(p, scale, out=dz)
