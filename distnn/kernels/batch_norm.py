"""Batch normalisation's passes over memory: the reference in numpy; `compiled.batch_norm` has the same in fewer.

All take rows (R, W) of several positions each, a row's worth of what is per channel (W,), and blocks of so many rows,
which fit into a core's cache. Sums add the rows of a block one after the other, and then the blocks.
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
    """out = Σ x over the rows; ``part`` is a scratch."""
    out.fill(0)
    for rows in _blocks(x, block):
        _add_up(x[rows], part)
        np.add(out, part, out=out)


def squares(x: Array, mean: Array, block: int, room: Array, part: Array, out: Array) -> None:
    """out = Σ (x − mean)² over the rows; ``room`` (block, W) and ``part`` are scratch."""
    out.fill(0)
    for rows in _blocks(x, block):
        found = room[: rows.stop - rows.start]
        np.subtract(x[rows], mean, out=found)
        np.multiply(found, found, out=found)
        _add_up(found, part)
        np.add(out, part, out=out)


def normalise(
    x: Array, mean: Array, inverse: Array, gain: Array, bias: Array, block: int, normal: Array, out: Array
) -> None:
    """normal = (x − mean) · inverse,   out = normal · gain + bias."""
    for rows in _blocks(x, block):
        found, result = normal[rows], out[rows]
        np.subtract(x[rows], mean, out=found)
        np.multiply(found, inverse, out=found)
        np.multiply(found, gain, out=result)
        np.add(result, bias, out=result)


def slopes(dy: Array, normal: Array, block: int, room: Array, part: Array, of_bias: Array, of_gain: Array) -> None:
    """of_bias = Σ dy,   of_gain = Σ dy · normal   over the rows; ``room`` (block, W) and ``part`` are scratch."""
    total(dy, block, part, of_bias)
    of_gain.fill(0)
    for rows in _blocks(dy, block):
        found = room[: rows.stop - rows.start]
        np.multiply(dy[rows], normal[rows], out=found)
        _add_up(found, part)
        np.add(of_gain, part, out=of_gain)


def spread(
    dy: Array, normal: Array, shift: Array, scale: Array, factor: Array, block: int, room: Array, dx: Array
) -> None:
    """dx = (dy − normal · scale − shift) · factor; ``dx`` may be ``dy``, ``room`` (block, W) is a scratch."""
    for rows in _blocks(dy, block):
        found = room[: rows.stop - rows.start]
        np.multiply(normal[rows], scale, out=found)
        np.subtract(dy[rows], found, out=found)
        np.subtract(found, shift, out=found)
        np.multiply(found, factor, out=dx[rows])
