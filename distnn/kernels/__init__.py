"""The inner loops behind ops, over plain arrays: in numpy, and compiled by numba where that is faster.

Each module here that has one of the same name in `compiled` is the reference: both have the same functions, and give
the same bits, so that a run may go on with or without numba. Only `compiled.products` stands alone: it takes the place
of the BLAS, whose sums nobody can follow, and its last bits are others.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any


@cache
def compiled_kernels(name: str) -> ModuleType | None:
    """The compiled kernels of this name; None if numba isn't installed, or can't keep what it compiles."""
    try:
        return importlib.import_module(f"distnn.kernels.compiled.{name}")
    except (ImportError, RuntimeError):  # numba's, where it finds no folder to write to
        return None


def kept(module: ModuleType) -> bool:
    """Whether all of these compiled kernels are on the disk."""
    functions = [function for function in vars(module).values() if hasattr(function, "stats")]
    return all(any(Path(f.stats.cache_path).glob(f"{_stem(f)}.{f.__name__}-*.nbi")) for f in functions)


def _stem(function: Any) -> str:
    """The name of the module that a compiled function is from."""
    return str(function.py_func.__module__).rpartition(".")[2]


def reference(name: str) -> ModuleType:
    """The kernels of this name in numpy."""
    return importlib.import_module(f"distnn.kernels.{name}")


def joined(name: str) -> ModuleType:
    """The kernels of this name: `compiled_kernels` where numba runs already; they give the same bits as in numpy."""
    return load(name) if "numba" in sys.modules else reference(name)


def load(name: str) -> ModuleType:
    """The kernels of this name: `compiled_kernels`, or else in numpy."""
    return compiled_kernels(name) or reference(name)
