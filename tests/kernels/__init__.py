"""Kernels in numpy, and compiled."""

from __future__ import annotations

from types import ModuleType

from distnn.kernels import load, reference


def both(name: str) -> list[ModuleType]:
    """The reference of this name, and the compiled kernels where numba is installed."""
    return list(dict.fromkeys([reference(name), load(name)]))
