"""The optimisers' updates in one pass over memory; `distnn.optim` has them in numpy, with the formulas.

All take vectors of one length and numbers of their type, so that nothing is computed in another precision. ``decay`` is
the weight decay of each element, or empty where nothing decays. A division by zero gives infinity, as in numpy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from distnn.arrays import Array


def prepare(dtype: npt.DTypeLike) -> None:
    """Compile all for numbers of this type, or load them from the disk."""
    w, one = np.zeros(1, dtype), np.ones(1, dtype)[0]
    plain(w, w.copy(), one)
    momentum(w, w.copy(), w.copy(), w.copy(), one, one, one, False)
    moments(w, w.copy(), w.copy(), w.copy(), w.copy(), np.ones(9, dtype), False)


@njit(cache=True, nogil=True, error_model="numpy")
def plain(w: Array, g: Array, rate: Any) -> None:
    """w ← w − rate · g."""
    for i in range(len(w)):
        w[i] -= g[i] * rate


@njit(cache=True, nogil=True, error_model="numpy")
def momentum(w: Array, g: Array, v: Array, decay: Array, scale: Any, mu: Any, rate: Any, nesterov: bool) -> None:
    """`distnn.optim.SGD` with a velocity v, the mean gradient scale · g, and the momentum ``mu``."""
    decays = len(decay) > 0
    for i in range(len(w)):
        slope = g[i] * scale
        if decays:
            slope += w[i] * decay[i]
        velocity = v[i] * mu + slope
        v[i] = velocity
        if nesterov:
            velocity = slope + velocity * mu
        w[i] -= velocity * rate


@njit(cache=True, nogil=True, error_model="numpy")
def moments(w: Array, g: Array, m: Array, v: Array, decay: Array, numbers: Array, coupled: bool) -> None:
    """`distnn.optim.Adam` where the decay is ``coupled``, else `distnn.optim.AdamW`.

    ``numbers`` are the gradient's scale, the rate, β₁, 1 − β₁, β₂, 1 − β₂, ε, 1 / (1 − β₁ᵗ) and 1 / √(1 − β₂ᵗ).
    """
    scale, rate, beta1, rest1, beta2, rest2, epsilon, first, second = (
        *(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]),
        *(numbers[5], numbers[6], numbers[7], numbers[8]),
    )
    before, after = len(decay) > 0 and coupled, len(decay) > 0 and not coupled
    for i in range(len(w)):
        slope = g[i] * scale
        if before:
            slope += w[i] * decay[i]
        mean = m[i] * beta1 + slope * rest1
        square = v[i] * beta2 + (slope * slope) * rest2
        m[i], v[i] = mean, square
        step = mean / (np.sqrt(square) * second + epsilon) * first
        if after:
            step += w[i] * decay[i]
        w[i] -= step * rate
