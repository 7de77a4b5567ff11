"""The choice between compiled kernels and those in numpy, by their name."""

from __future__ import annotations

import importlib
import sys
from functools import cache
from pathlib import Path
from types import ModuleType


@cache
def compiled_kernels(name: str) -> ModuleType | None:
    """The compiled kernels of this name; None if numba isn't installed, or can't cache what it compiles."""
    try:
        return importlib.import_module(f"distnn.kernels.compiled.{name}")
    except (ImportError, RuntimeError):  # numba's, where it finds no folder to write to
        return None


def kept(module: ModuleType) -> bool:
    """Whether all of these compiled kernels are on disk."""
    for function in vars(module).values():
        if hasattr(function, "stats"):
            origin = function.py_func.__module__.rpartition(".")[2]
            if not any(Path(function.stats.cache_path).glob(f"{origin}.{function.__name__}-*.nbi")):
                return False
    return True


def reference(name: str) -> ModuleType:
    """The kernels of this name in numpy."""
    return importlib.import_module(f"distnn.kernels.{name}")


def joined(name: str) -> ModuleType:
    """The kernels of this name: as by `load` where numba has been imported, else in numpy."""
    return load(name) if "numba" in sys.modules else reference(name)


def load(name: str) -> ModuleType:
    """The kernels of this name: compiled, or in numpy where numba is missing."""
    return compiled_kernels(name) or reference(name)
