"""The rectifier max(x, 0) and its derivative, also with a bias before it: in numpy in two passes, compiled in one."""

from __future__ import annotations

import numpy as np

from distnn.arrays import Array


def rectify(x: Array, y: Array) -> None:
    """y = max(x, 0), of flat arrays that may be the same one."""
    # clip: np.maximum with a scalar takes 2 to 4 times as long, a mask and a product 2 times
    np.clip(x, 0.0, np.inf, out=y)


def shift(y: Array, bias: Array) -> None:
    """y = max(y + b, 0) in place.

    Arguments:
        y: rows (N, O).
        bias: b (O,).
    """
    np.add(y, bias, out=y)
    np.clip(y, 0.0, np.inf, out=y)


def slope(dy: Array, y: Array, dx: Array) -> None:
    """dx = dy where y > 0, else dy · 0, of flat arrays; ``dx`` may be ``dy``."""
    np.multiply(dy, np.greater(y, 0), out=dx)
