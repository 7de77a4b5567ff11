"""distnn: data-parallel training of neural networks on CPU supercomputers with MPI.

>>> from distnn import graph
>>> a, b, c = graph.inputs("a b c")
>>> J = (3 * (a + b * c)).named("J")
>>> run = graph.evaluate(J, a=5, b=3, c=2)
>>> print(run["J"], run.gradient["a"], run.gradient["b"], run.gradient["c"])
33.0 3.0 6.0 9.0
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distnn import runtime

#: The BLAS threads of this rank, and the reason (`distnn.runtime`). Set before numpy loads: a BLAS reads them once.
THREADS = runtime.prepare()

__version__ = runtime.VERSION
__all__ = ["THREADS", "fit", "graph", "layers", "models", "optim"]

if TYPE_CHECKING:
    from distnn import graph, layers, models, optim
    from distnn.session.fit import fit


def __getattr__(name: str) -> Any:
    """Load a package when it is first used: what a script doesn't use costs it nothing at start (PEP 562)."""
    import importlib

    if name == "fit":
        return importlib.import_module("distnn.session.fit").fit
    if name in __all__:
        return importlib.import_module(f"distnn.{name}")
    raise AttributeError(f"module 'distnn' has no attribute '{name}'")
