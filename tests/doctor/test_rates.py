"""Rates from times: what the models give back."""

from __future__ import annotations

import pytest

from distnn.doctor.facts import SIZES
from distnn.doctor.rates import fitted
from distnn.scaling.rates import Link
from distnn.scaling.reduction import rabenseifner, recursive_doubling


@pytest.mark.parametrize("ranks", [2, 3, 4, 7, 32])
def test_a_fit_finds_what_made_the_times(ranks: int) -> None:
    link = Link(3e-6, 2e-9, 1e-10)
    small = recursive_doubling(ranks, 0, link)  # eight bytes are as good as none
    found = fitted(ranks, small, rabenseifner(ranks, SIZES[-1], link), link.add)
    assert (found.latency, found.byte, found.add) == pytest.approx((link.latency, link.byte, link.add))
