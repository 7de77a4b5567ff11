"""The cost of a graph's steps for a batch, in arithmetic and memory traffic, from the graph alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distnn.arrays import size
from distnn.graph.fusion import PlanStep, fuse, steps_of
from distnn.graph.node import Node, learning, topological


@dataclass(frozen=True)
class Cost:
    """The cost of one operation of a plan in one direction.

    Attributes:
        flops: floating-point operations.
        elements: numbers read and written, each once.
    """

    flops: int
    elements: int


def costs(outputs: Sequence[Node], batch: int) -> list[Cost]:
    """The operations of forward and backward of a training plan of ``outputs`` for ``batch`` samples.

    Backward does the work of forward for the parameters' gradients and again for the inputs' that have one: a dense
    layer's 2 N I O become 4 N I O, and 2 N I O in the first layer, whose input is data.
    """
    nodes = topological(list(outputs))
    fused = fuse(steps_of(nodes), {id(node) for node in outputs}, set())
    learns = learning(nodes, {id(node) for node in nodes if node.kind == "parameter" and node.trainable})
    listed = []
    for step in fused:
        if step.op.view:
            continue
        flops, elements = step.flops(batch), _elements(step, batch)
        listed.append(Cost(flops, elements))
        kinds = {source.kind == "parameter" for source in step.inputs if id(source) in learns}
        if id(step.node) in learns:
            listed.append(Cost(len(kinds) * flops, len(kinds) * elements))
    return listed


def _elements(step: PlanStep, batch: int) -> int:
    """Of a step's forward."""
    shapes = step.shapes(batch)
    work = sum(size(buffer.shape) for buffer in step.op.work(*shapes).values() if buffer.span != "backward")
    return work + sum(map(size, shapes))
