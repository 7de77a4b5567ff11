"""The units of sums in fixed point: a power of two for each named number, by which it becomes an integer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

#: The largest exponent, in which all but 0 is too large: what nothing is known of begins with it.
MOST = 1000


class Units:
    """The units in which named numbers are summed: for each the power of two that turns it into an integer.

    Arguments:
        names: of the numbers.
        bits: that the integers of each may have.

    Attributes:
        scales: 2ᵏ (n,).
        largest: the magnitudes of those that don't fit, 0 for the others (n,).
    """

    def __init__(self, names: Sequence[str], bits: Sequence[int]) -> None:
        self.names, self.bits = tuple(names), np.array(bits)
        self.scales = np.full(len(names), math.ldexp(1.0, MOST))
        self.largest = np.zeros(len(names))

    def note(self, place: int, magnitude: float) -> None:
        """A number is too large for its unit."""
        self.largest[place] = np.maximum(self.largest[place], magnitude)

    def limit(self, place: int) -> int:
        """What an integer of this number has to stay below."""
        return 1 << int(self.bits[place])

    def fit(self, headroom: int) -> None:
        """Choose units in which the `largest`, and numbers 2^headroom times as large, have their bits."""
        _, exponents = np.frexp(self.largest)
        for place in np.flatnonzero(self.largest).tolist():
            self.scales[place] = math.ldexp(1.0, min(MOST, int(self.bits[place]) - headroom - int(exponents[place])))

    @property
    def strange(self) -> list[str]:
        """The names of those of the `largest` that aren't finite."""
        return [name for name, value in zip(self.names, self.largest, strict=True) if not math.isfinite(value)]

    @property
    def exponents(self) -> dict[str, int]:
        """By name k, of the unit 2⁻ᵏ."""
        _, exponents = np.frexp(self.scales)
        return {name: exponent - 1 for name, exponent in zip(self.names, exponents.tolist(), strict=True)}

    def load(self, exponents: Mapping[str, int]) -> None:
        """Take over `exponents`."""
        for place, name in enumerate(self.names):
            self.scales[place] = math.ldexp(1.0, exponents.get(name, MOST))
