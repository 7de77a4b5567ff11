"""A network as columns, from left to right: each holds the neurons of a layer, or maps, or a sequence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from distnn.arrays import size
from distnn.errors import UsageError
from distnn.graph.drawing.outline import words
from distnn.graph.fusion import PlanStep, fuse, steps_of
from distnn.graph.node import Node, topological
from distnn.ops.activation import LinearMap
from distnn.ops.arithmetic import Add, MatMul, Reshape
from distnn.ops.linear import Affine
from distnn.ops.recurrent.recurrence import Recurrence

#: What a column is drawn as: circles, sheets, a box with an arrow from its output back to its input, or a sum.
Form = Literal["neurons", "sheets", "recurrent", "sum"]


@dataclass(eq=False)
class Column:
    """What one step computes, and the steps behind it that keep its shape, such as an activation.

    Attributes:
        form: what it is drawn as.
        shape: of the output for one sample.
        name: of the layer or the input; empty for what has no parameters.
        does: what it computes, in words.
        sources: the places of the columns that it reads.
        counts: how many weights and biases there are.
        weight: the node of the weights (I, O) by which each neuron reads all of the column before; None for others.
    """

    form: Form
    shape: tuple[int, ...]
    name: str = ""
    does: list[str] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    counts: list[str] = field(default_factory=list)
    weight: Node | None = None

    @property
    def size(self) -> str:
        """How large the output is, in words."""
        if self.form == "neurons":
            learns = self.weight is not None
            return _plural(size(self.shape), "neuron" if learns else "number")
        if self.form == "recurrent":
            return f"{self.shape[0]} steps of {self.shape[-1]}"
        return " × ".join(map(str, self.shape))

    @property
    def rows(self) -> list[str]:
        """What is written below it."""
        return [row for row in (self.name, self.size, *self.does, *self.counts) if row and self.form != "sum"]


def columns(output: Node) -> list[Column]:
    """The columns of the graph of ``output``, each behind those that it reads.

    Raises:
        UsageError: if the graph reads no input that is data.
    """
    steps = fuse(steps_of(topological([output])), {id(output)}, set())
    readers = Counter(id(source) for step in steps for source in step.inputs)
    place: dict[int, int] = {}
    made: list[Column] = []
    for step in steps:
        sources = _sources(step, place)
        for source in sources:
            if id(source) not in place:
                place[id(source)] = len(made)
                made.append(_input(source))
        if not sources:
            continue
        column = made[place[id(sources[0])]]
        if len(sources) == 1 and column.sources and readers[id(sources[0])] == 1 and _keeps(step):
            column.does.append(words(step.op))
            more = sum(size(node.bound(1)) for node in _parameters(step) if node.trainable)
            column.counts += [f"{more:,} more {'parameter' if more == 1 else 'parameters'}"] if more else []
        else:
            column = _column(step, list(dict.fromkeys(place[id(source)] for source in sources)))
            made.append(column)
        place[id(step.node)] = made.index(column)
    if not made:
        raise UsageError("the network has no input of samples; expected one such as graph.input('x', (graph.N, 4)).")
    return made


def _sources(step: PlanStep, place: dict[int, int]) -> list[Node]:
    """What a step reads that is drawn: data and what is computed from them, without the state of a sequence."""
    inputs = step.inputs[:1] if isinstance(step.op, Recurrence) else step.inputs
    return [node for node in inputs if id(node) in place or (node.kind == "input" and node.shape != node.bound(1))]


def _keeps(step: PlanStep) -> bool:
    """Whether a step belongs to the column before it: it changes values, each by itself or all alike."""
    return not isinstance(step.op, LinearMap | MatMul | Recurrence) and step.node.shape == step.inputs[0].shape


def _parameters(step: PlanStep) -> list[Node]:
    return [node for node in step.inputs if node.kind == "parameter"]


def _input(node: Node) -> Column:
    shape = node.bound(1)[1:]
    if node.integer:
        return Column("sheets", shape, str(node.name), ["integers"])
    return Column("neurons" if len(shape) < 2 else "sheets", shape, str(node.name))


def _column(step: PlanStep, sources: list[int]) -> Column:
    """The column that begins with this step."""
    shape, parameters = step.node.bound(1)[1:], _parameters(step)
    form: Form = "neurons" if len(shape) < 2 else "sheets"
    if isinstance(step.op, Recurrence):  # without the rows for its last state
        form, shape = "recurrent", (step.inputs[0].bound(1)[1], *shape[1:])
    elif isinstance(step.op, Add) and len(sources) > 1:
        form = "sum"
    does = [] if form == "sum" else [words(step.op)]
    if isinstance(step.op, LinearMap):
        does = [step.op.label.replace("+", " + ")]
    if isinstance(step.op, Reshape) and form == "neurons":
        does = ["flatten"]
    dense = form == "neurons" and isinstance(step.op, Affine | MatMul) and bool(parameters)
    if dense:  # that a neuron adds up its inputs goes without saying
        activation = step.op.activation if isinstance(step.op, Affine) else None
        does = [activation.label] if activation else []
    names = [str(node.name).rpartition(".") for node in parameters if node.name]
    biases = sum(size(node.bound(1)) for node in parameters if len(node.shape) == 1)
    weights = sum(size(node.bound(1)) for node in parameters) - biases
    counts = [_plural(number, word) for number, word in ((weights, "weight"), (biases, "bias")) if number]
    name = names[0][0] or names[0][2] if names else ""
    return Column(form, shape, name, does, sources, counts, parameters[0] if dense else None)


def _plural(number: int, word: str) -> str:
    plural = f"{word}es" if word.endswith("s") else f"{word}s"
    return f"{number:,} {word if number == 1 else plural}"
