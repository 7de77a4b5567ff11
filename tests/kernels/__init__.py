"""Kernels in numpy, and compiled."""

from __future__ import annotations

import importlib
from types import ModuleType

from distnn.kernels import load


def both(name: str) -> list[ModuleType]:
    """The reference of this name, and the compiled kernels where numba is installed."""
    return list(dict.fromkeys([importlib.import_module(f"distnn.kernels.{name}"), load(name)]))
