"""Which source files a run's own classes come from, for its checkpoints."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING

from distnn.graph.node import topological
from distnn.layers import Layer

if TYPE_CHECKING:
    from distnn.session.build import Run

#: What the names in an environment begin with.
SOURCE = "source of "


def sources(run: Run) -> dict[str, str]:
    """The SHA-256 of the source file of each class that isn't distnn's own, by ``source of module:Class``.

    They are those of the loss, the optimiser, the schedule, and the layers and operations of the network.
    """
    used = [run.model.criterion, run.optimizer, run.schedule, *_layers(run.model.network)]
    used += [node.op for node in topological([run.model.loss]) if node.op is not None]
    classes = {type(thing) for thing in used}
    own = sorted((kind for kind in classes if kind.__module__.partition(".")[0] != "distnn"), key=_name)
    return {f"{SOURCE}{_name(kind)}": found for kind in own if (found := _hash(kind))}


def _layers(thing: object) -> Iterator[object]:
    """A layer, and those that it holds."""
    if isinstance(thing, Layer):
        yield thing
        for key, value in vars(thing).items():
            if key != "parent":
                yield from _layers(value)
    elif isinstance(thing, tuple | list):
        for item in thing:
            yield from _layers(item)


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _hash(kind: type) -> str:
    """Of the file; empty for what was typed into an interpreter."""
    try:
        path = inspect.getsourcefile(kind)
        with open(path or "", "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except (OSError, TypeError):
        return ""
