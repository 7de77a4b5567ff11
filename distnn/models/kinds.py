"""The models that run files know by their kind: functions from the number of outputs, and their keys, to a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from distnn.layers import Layer
from distnn.registry import Family

MODELS = Family(
    "model",
    meaning="a network that distnn builds; its own keys are below",
    about='Exactly one of a `kind`, a list of `layers`, or a `factory` of the user\'s, "module:function".',
    apart=("outputs",),
)
#: The tasks that each kind serves.
TASKS: dict[str, tuple[str, ...]] = {}
#: The kinds with an output for each pixel.
DENSE: set[str] = set()
Builder = TypeVar("Builder", bound=Callable[..., Layer])


def model(kind: str, *tasks: str, dense: bool = False) -> Callable[[Builder], Builder]:
    """Register a builder for these tasks; its first argument is the number of outputs, of each pixel if ``dense``."""

    def register(builder: Builder) -> Builder:
        MODELS.kinds[kind], TASKS[kind] = builder, tasks
        if dense:
            DENSE.add(kind)
        return builder

    return register
