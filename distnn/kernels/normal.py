"""The normal distribution's tail and density over arrays; numpy has no error function.

    Φ(−a) = ½ erfc(a / √2) = e^(−a²/2) h(a),   a ≥ 0

h is smooth out to infinity in q = s / (a + K) + o, so that one polynomial in q serves every a. The polynomials
interpolate h, computed with 50 digits by mpmath, in the Chebyshev nodes of the a for which e^(−a²/2) is a number; K is
the one, of those tried, with the least relative error. Form: Shepherd and Laframboise, Chebyshev Approximation of
(1 + 2x) exp(x²) erfc x in 0 ≤ x < ∞, 1981.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from distnn.arrays import Array


class _Fit(NamedTuple):
    """h(a) as a polynomial in q, the highest power first; from ``limit`` on, e^(−a²/2) is 0 in this precision."""

    limit: float
    pole: float
    scale: float
    offset: float
    coefficients: tuple[float, ...]


#: A relative error of 2e-15.
_DOUBLE = _Fit(
    *(39.0, 5.25, 11.928108808290155, -1.2720207253886011),
    (
        *(-3.8033601881704245e-10, -2.5612411171222793e-10, 5.4176613760193935e-09, 4.9652834254630415e-09),
        *(-5.5098763281684827e-08, -8.977054427802576e-08, 5.021911072529742e-07, 1.6697817998886191e-06),
        *(-2.952716156330848e-06, -2.7627789204898988e-05, -4.1610398165559405e-05, 0.0002451769928046165),
        *(0.0018372770454421988, 0.006978849177833916, 0.019144555327473087, 0.04170925914479117),
        *(0.07518938449820176, 0.11448486689230408, 0.14870870934628624, 0.09177207562830535),
    ),
)

#: A relative error of 1e-8.
_SINGLE = _Fit(
    *(14.5, 3.0, 7.353383458646617, -1.4511278195488722),
    (
        *(-8.649926244426484e-06, 5.2378820423055935e-06, 0.00010702433168909695, -0.00013722108065384057),
        *(-0.001344327079120255, 0.0013480766775374317, 0.026964270418053125, 0.09972755210481375),
        *(0.2093672380446019, 0.1639707960444099),
    ),
)


def normal_tail(a: Array, tail: Array, density: Array, spare: Array) -> object:
    """Write Φ(−a) into ``tail`` and φ(a) = e^(−a²/2) / √(2π) into ``density``, for a ≥ 0; ``spare`` is a scratch."""
    fit = _SINGLE if a.dtype == np.float32 else _DOUBLE
    np.minimum(a, fit.limit, out=density)
    np.add(density, fit.pole, out=spare)
    np.divide(fit.scale, spare, out=spare)
    np.add(spare, fit.offset, out=spare)
    np.multiply(density, density, out=density)
    np.multiply(density, -0.5, out=density)
    np.exp(density, out=density)
    first, *rest = fit.coefficients
    tail[...] = first
    for coefficient in rest:
        np.multiply(tail, spare, out=tail)
        np.add(tail, coefficient, out=tail)
    np.multiply(tail, density, out=tail)
    return np.multiply(density, 1 / math.sqrt(2 * math.pi), out=density)
