"""Kernels in numpy, and compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType

import numpy as np

from distnn.kernels.loading import load, reference


def both(name: str) -> list[ModuleType]:
    """The reference of this name, and the compiled kernels where numba is installed."""
    return list(dict.fromkeys([reference(name), load(name)]))


def same_bits(name: str, run: Callable[[ModuleType], Mapping[str, np.ndarray]]) -> None:
    """What the kernels of this name leave behind is the same compiled as in numpy."""
    expected, *others = map(run, both(name))
    for found in others:
        for key, array in expected.items():
            np.testing.assert_array_equal(found[key], array, err_msg=key)
