"""From a graph's parameter nodes to vectors with first values, keyed to the seed and each parameter's name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from distnn.errors import UsageError
from distnn.graph.node import Node, topological
from distnn.parameters import Parameters
from distnn.randomness import generator


def parameter_nodes(outputs: Iterable[Node]) -> dict[str, Node]:
    """The parameters that ``outputs`` depend on, by name, in topological order.

    Raises:
        UsageError: for a parameter without a name, or two of one name.
    """
    nodes: dict[str, Node] = {}
    for node in topological(outputs):
        if node.kind != "parameter":
            continue
        if not node.name:
            raise UsageError(f"a parameter of shape {node.shape} has no name; give it one with .named(…).")
        if node.name in nodes:
            raise UsageError(f"two parameters are named '{node.name}'; names must differ.")
        nodes[node.name] = node
    return nodes


def initialize(outputs: Iterable[Node], *, seed: int = 0, **options: Any) -> Parameters:
    """`Parameters` for every parameter node that ``outputs`` depend on, with their first values.

    Arguments:
        outputs: the graph's outputs.
        seed: together with a parameter's name the only source of its values; drawn in float64, then rounded.
        options: passed on to `Parameters` (dtype, tail, minimum, memory).
    """
    nodes = parameter_nodes(outputs)
    shapes = {name: tuple(int(str(length)) for length in node.shape) for name, node in nodes.items()}
    trained = {name: shape for name, shape in shapes.items() if nodes[name].trainable}
    running = {name: shape for name, shape in shapes.items() if not nodes[name].trainable}
    parameters = Parameters(trained, running=running, **options)
    for name, node in nodes.items():
        assert node.initializer is not None, f"parameter '{name}' has no initializer"
        parameters.value[name][...] = node.initializer(generator(seed, name), shapes[name])
    return parameters
