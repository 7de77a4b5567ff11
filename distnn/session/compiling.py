"""Kernels are compiled before the first step, by one rank of each node for all of them."""

from __future__ import annotations

from contextlib import suppress
from types import ModuleType

from distnn.kernels.loading import compiled_kernels, kept
from distnn.models import Model
from distnn.optim import Optimizer
from distnn.parallel.communicator import Communicator
from distnn.parameters import Parameters


def prepare(
    model: Model, optimizer: Optimizer, parameters: Parameters, comm: Communicator, batch: int, *, reproducible: bool
) -> tuple[str, ...]:
    """Compile the kernels that a training needs, or load what was compiled by a former one; all ranks call it.

    Nothing happens where numba isn't installed, or the model is too small for it to pay. Compiling takes some seconds,
    once for a machine and a version of distnn.

    Arguments:
        batch: the most samples that are computed together.
        reproducible: whether sums are in fixed point.

    Returns the names of these kernels.
    """
    names = model.kernels(batch) | optimizer.compiles(parameters.length) | ({"fixed_point"} if reproducible else set())
    names |= model.joins if names else set()
    found = {name: module for name in sorted(names) if (module := compiled_kernels(name))}
    modules = list(found.values())
    node = comm.node()
    if node.root and not all(map(kept, modules)):
        _prepare(modules, parameters)
    node.barrier()
    _prepare(modules, parameters)
    return tuple(found)


def _prepare(modules: list[ModuleType], parameters: Parameters) -> None:
    for module in modules:
        with suppress(OSError):  # compiled, but there is no room to keep it
            module.prepare(parameters.dtype)
