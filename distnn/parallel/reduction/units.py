"""The units of sums in fixed point: a power of two for each number, by which it becomes an integer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

#: The largest exponent, in which all but 0 is too large: what nothing is known of begins with it.
MOST = 1000
#: The exponents k of units 2⁻ᵏ by name: one, or a list where a name has several numbers.
Exponents = Mapping[str, int | list[int]]


class Units:
    """The units in which named numbers are summed: for each the power of two that turns it into an integer.

    Arguments:
        lengths: by name, how many numbers there are of it.
        bits: by name, how many the integers may have.

    Attributes:
        places: by name, where its numbers are in the vectors below.
        scales: 2ᵏ (n,).
        largest: the magnitudes of those that don't fit, 0 for the others (n,).
    """

    def __init__(self, lengths: Mapping[str, int], bits: Mapping[str, int]) -> None:
        ends = np.cumsum(list(lengths.values())).tolist()
        self.places = {name: slice(end - lengths[name], end) for name, end in zip(lengths, ends, strict=True)}
        self.scales = np.full(ends[-1], np.ldexp(1.0, MOST))
        self.largest = np.zeros(ends[-1])
        self._bits = np.repeat([bits[name] for name in lengths], list(lengths.values()))

    def fit(self, headroom: int) -> None:
        """Choose units in which the `largest`, and numbers 2^headroom times as large, have their bits."""
        some = np.flatnonzero(self.largest)
        _, exponents = np.frexp(self.largest[some])
        self.scales[some] = np.ldexp(1.0, np.minimum(MOST, self._bits[some] - headroom - exponents))

    @property
    def strange(self) -> list[str]:
        """The names of those of the `largest` that aren't finite."""
        return [name for name, where in self.places.items() if not np.all(np.isfinite(self.largest[where]))]

    @property
    def exponents(self) -> dict[str, int | list[int]]:
        """By name k, of the unit 2⁻ᵏ."""
        exponents = (np.frexp(self.scales)[1] - 1).tolist()
        lists = {name: exponents[where] for name, where in self.places.items()}
        return {name: each if len(each) > 1 else each[0] for name, each in lists.items()}

    def load(self, exponents: Exponents) -> None:
        """Take over `exponents`."""
        for name, where in self.places.items():
            self.scales[where] = np.ldexp(1.0, exponents.get(name, MOST))
