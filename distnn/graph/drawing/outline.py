"""The drawing of a model: the steps that a plan runs, with shapes, and parameter and FLOP counts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import takewhile

from distnn.arrays import BatchSize, size
from distnn.graph.drawing.sketch import Arrow, Box, Group, Kind, Row, Span
from distnn.graph.fusion import PlanStep, fuse, steps_of
from distnn.graph.node import Node, topological
from distnn.ops.activation import Activation
from distnn.ops.op import Op
from distnn.ops.recurrent.recurrence import Recurrence


def body(output: Node) -> tuple[list[Box], list[Arrow], str]:
    """The boxes and arrows for the graph of ``output``, and a line of its counts."""
    nodes = topological([output])
    steps = fuse(steps_of(nodes), {id(output)}, set())
    drawn = [node for node in nodes if node.kind == "input" and _is_data(node)]
    place = {id(node): number for number, node in enumerate([*drawn, *(step.node for step in steps)])}
    boxes = [Box("input", [(Span(str(node.name), "name"),)]) for node in drawn]
    groups = _groups(steps)
    boxes += [_step_box(step, groups[id(step.node)], step.node is output) for step in steps]
    arrows = [
        Arrow(place[id(source)], place[id(step.node)], " × ".join(map(str, source.shape)))
        for step in steps
        for source in step.inputs
        if id(source) in place
    ]
    return boxes, arrows, _totals(nodes, steps)


def words(op: Op) -> str:
    """What an operation is called in a drawing: ``squared error`` for SquaredError, ``relu`` for ReLU."""
    name = type(op.cell if isinstance(op, Recurrence) else op).__name__
    if op.label != name.lower() or isinstance(op, Activation):
        return op.label.replace("+", " + ")
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", name).lower()


def _is_data(node: Node) -> bool:
    """Whether an input is data: the key of a step's random numbers, which has no batch axis, is not."""
    return not node.integer or any(isinstance(length, BatchSize) for length in node.shape)


def _parameters(step: PlanStep) -> list[Node]:
    return list({id(node): node for node in step.inputs if node.kind == "parameter"}.values())


def _owner(step: PlanStep) -> Group:
    """The words of the dotted name of the step's layer; none if no layer has all its parameters, or it has no layer."""
    owners = {tuple(str(node.name).split(".")[:-1]) for node in _parameters(step)}
    if not owners and step.op.name:
        return tuple(step.op.name.split("."))
    return owners.pop() if len(owners) == 1 else ()


def _step_box(step: PlanStep, group: Group, last: bool) -> Box:
    """A step's box: its layer, named as within the frame of ``group``; its operation; its counts."""
    parameters = _parameters(step)
    rows: list[Row] = []
    if owner := _owner(step):
        rows.append((Span(".".join(owner[len(group) :]), "name"),))
    elif parameters:
        rows.append((Span(", ".join(str(node.name) for node in parameters), "name"),))
    numbers = [node.name for node in step.inputs if node.kind == "constant" and node.name]
    rows.append((Span(" ".join([words(step.op), *map(str, numbers)])),))
    if count := _count(parameters):
        rows.append((Span(f"{count:,} parameters"),))
    if flops := step.flops(1):
        rows.append((Span(_units(flops)),))
    kind: Kind = "output" if last else "layer" if parameters else "step"
    return Box(kind, rows, group)


def _count(parameters: Iterable[Node]) -> int:
    """How many numbers training changes."""
    return sum(size(node.bound(1)) for node in parameters if node.trainable)


def _units(flops: int) -> str:
    """FLOP for people: 640 FLOP, 8.19 kFLOP, 1.5 GFLOP."""
    number, prefixes = float(flops), ["", "k", "M", "G", "T"]
    while number >= 999.5 and len(prefixes) > 1:
        number /= 1000
        prefixes.pop(0)
    return f"{number:.3g} {prefixes[0]}FLOP"


def _totals(nodes: list[Node], steps: list[PlanStep]) -> str:
    parameters = [node for node in nodes if node.kind == "parameter"]
    running = sum(size(node.bound(1)) for node in parameters if not node.trainable)
    kept = f" and {running:,} running means" if running else ""
    flops = _units(sum(step.flops(1) for step in steps))
    return f"{_count(parameters):,} parameters{kept}; {flops} forward for a sample"


def _groups(steps: list[PlanStep]) -> dict[int, Group]:
    """The container that each step's box is drawn in.

    For a step with a layer it is the layer's; for another, such as a ReLU between two layers of a block, the innermost
    that holds what it reads and what reads it.
    """
    owned = {id(step.node): _owner(step)[:-1] for step in steps if _owner(step)}
    before, after = dict(owned), dict(owned)
    readers: dict[int, list[Group]] = {}
    for step in steps:
        before.setdefault(id(step.node), _common([before[id(x)] for x in step.inputs if id(x) in before]))
    for step in reversed(steps):
        after.setdefault(id(step.node), _common(readers.get(id(step.node), [])))
        for source in step.inputs:
            readers.setdefault(id(source), []).append(after[id(step.node)])
    return {key: _common([before[key], after[key]]) for key in before}


def _common(groups: list[Group]) -> Group:
    """The longest beginning that all share; the outside for none."""
    return tuple(words[0] for words in takewhile(lambda words: len(set(words)) == 1, zip(*groups, strict=False)))
