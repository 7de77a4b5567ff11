"""Which source files a run's own classes come from, for its checkpoints."""

from __future__ import annotations

import hashlib
import inspect

from distnn.graph.node import topological
from distnn.layers import Layer
from distnn.session.build import Run

#: What the names in an environment begin with.
SOURCE = "source of "


def sources(run: Run) -> dict[str, str]:
    """The SHA-256 of the source file of each class that isn't distnn's own, by ``source of module:Class``.

    They are those of the loss, the optimiser, the schedule, the transforms, and the network's layers and operations.
    """
    nodes = topological([run.model.loss])
    layers = [layer for node in nodes if isinstance(node.layer, Layer) for layer in node.layer.lineage]
    used: list[object] = [run.model.criterion, run.optimizer, run.schedule, *layers, *_layers(run.model.network)]
    used += run.chains.transforms
    used += [node.op for node in nodes if node.op is not None]
    classes = {type(thing) for thing in used}
    own = sorted((kind for kind in classes if kind.__module__.partition(".")[0] != "distnn"), key=_name)
    return {f"{SOURCE}{_name(kind)}": found for kind in own if (found := _hash(kind))}


def _layers(network: object) -> list[Layer]:
    """A layer, and those that it holds, with or without parameters."""
    found: dict[int, Layer] = {}
    held = [network]
    while held:
        thing = held.pop()
        if isinstance(thing, Layer) and id(thing) not in found:
            found[id(thing)] = thing
            held += vars(thing).values()
        elif isinstance(thing, tuple | list):
            held += thing
        elif isinstance(thing, dict):
            held += thing.values()
    return list(found.values())


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
