"""Batch norm's passes over memory: the reference in numpy; `compiled.batch_norm` has the same in fewer passes.

All take rows (R, W) of several positions each, the channels' numbers repeated to a row (W,), and the rows of a block
that fits into a core's cache. Sums add the rows of a block one after the other, and then the blocks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from distnn.arrays import Array


def _blocks(rows: Array, block: int) -> Iterator[slice]:
    return (slice(k, min(k + block, len(rows))) for k in range(0, len(rows), block))


def _add_up(rows: Array, out: Array) -> None:
    """out = Σ rows, one after the other."""
    if rows.shape[1] == 1:  # numpy's reduction adds what lies side by side in pairs
        out[:] = np.add.accumulate(rows, axis=0)[-1]
    else:
        np.add.reduce(rows, axis=0, out=out)


def total(x: Array, block: int, part: Array, out: Array) -> None:
    """out = Σ x over the rows; ``part`` (W,) is scratch."""
    out.fill(0)
    for rows in _blocks(x, block):
        _add_up(x[rows], part)
        np.add(out, part, out=out)


def squares(x: Array, mean: Array, block: int, scratch: Array, part: Array, out: Array) -> None:
    """out = Σ (x − mean)² over the rows; ``scratch`` (block, W) and ``part`` are scratch."""
    out.fill(0)
    for rows in _blocks(x, block):
        piece = scratch[: rows.stop - rows.start]
        np.subtract(x[rows], mean, out=piece)
        np.multiply(piece, piece, out=piece)
        _add_up(piece, part)
        np.add(out, part, out=out)


def normalise(
    x: Array, mean: Array, inverse: Array, gain: Array, bias: Array, block: int, normal: Array, out: Array
) -> None:
    """normal = (x − mean) · inverse,   out = normal · gain + bias."""
    for rows in _blocks(x, block):
        centred, result = normal[rows], out[rows]
        np.subtract(x[rows], mean, out=centred)
        np.multiply(centred, inverse, out=centred)
        np.multiply(centred, gain, out=result)
        np.add(result, bias, out=result)


def slopes(dy: Array, normal: Array, block: int, scratch: Array, part: Array, of_bias: Array, of_gain: Array) -> None:
    """of_bias = Σ dy,   of_gain = Σ dy · normal   over the rows; ``scratch`` (block, W) and ``part`` are scratch."""
    total(dy, block, part, of_bias)
    of_gain.fill(0)
    for rows in _blocks(dy, block):
        piece = scratch[: rows.stop - rows.start]
        np.multiply(dy[rows], normal[rows], out=piece)
        _add_up(piece, part)
        np.add(of_gain, part, out=of_gain)


def spread(
    dy: Array, normal: Array, shift: Array, scale: Array, factor: Array, block: int, scratch: Array, dx: Array
) -> None:
    """dx = (dy − normal · scale − shift) · factor; ``dx`` may be ``dy``, ``scratch`` (block, W) is scratch."""
    for rows in _blocks(dy, block):
        piece = scratch[: rows.stop - rows.start]
        np.multiply(normal[rows], scale, out=piece)
        np.subtract(dy[rows], piece, out=piece)
        np.subtract(piece, shift, out=piece)
        np.multiply(piece, factor, out=dx[rows])
