"""The choice between compiled kernels and those in numpy, by their name."""

from __future__ import annotations

import importlib
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any


@cache
def compiled_kernels(name: str) -> ModuleType | None:
    """The compiled kernels of this name; None if numba isn't installed, or can't cache what it compiles."""
    try:
        return importlib.import_module(f"distnn.kernels.compiled.{name}")
    except (ImportError, RuntimeError):  # numba's, where it finds no folder to write to
        return None


def kept(module: ModuleType) -> bool:
    """Whether all of these compiled kernels are on disk."""
    functions = [function for function in vars(module).values() if hasattr(function, "stats")]
    return all(any(Path(f.stats.cache_path).glob(f"{_stem(f)}.{f.__name__}-*.nbi")) for f in functions)


def _stem(function: Any) -> str:
    """The name of the module that a compiled function is from."""
    return str(function.py_func.__module__).rpartition(".")[2]


def reference(name: str) -> ModuleType:
    """The kernels of this name in numpy."""
    return importlib.import_module(f"distnn.kernels.{name}")


def joined(name: str) -> ModuleType:
    """The kernels of this name: as by `load` where numba has been imported, else in numpy."""
    return load(name) if "numba" in sys.modules else reference(name)


def load(name: str) -> ModuleType:
    """The kernels of this name: compiled, or in numpy where numba is missing."""
    return compiled_kernels(name) or reference(name)
