"""Nodes: what to compute, written with ordinary Python. A node knows nothing of buffers, batches or ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import Any, Literal

import numpy as np

from distnn.arrays import Array, BatchSize, Shape, show
from distnn.errors import ShapeError, UsageError
from distnn.ops import arithmetic
from distnn.ops.op import Op

Kind = Literal["op", "input", "parameter", "constant"]
#: A function (random generator, shape) → the initial values of a parameter.
Initializer = Callable[[np.random.Generator, tuple[int, ...]], Array]


@dataclass(eq=False, repr=False, slots=True)
class Node:
    """A value in a computational graph: an input, a parameter, a constant, or an operation on other nodes.

    Nodes are joined by ``+ - * / ** @``, by `distnn.graph.functions` and by layers. Broadcasting follows numpy.

    Attributes:
        shape: with `N` for the batch's length.
        integer: whether the values are integers (labels), through which no gradient flows.
        name: what plans, drawings and gradients call it; None until named.
        trainable: False for a parameter that follows statistics of the data instead of a gradient.
    """

    shape: Shape
    _: KW_ONLY
    op: Op | None = None
    inputs: tuple[Node, ...] = ()
    name: str | None = None
    integer: bool = False
    value: Array | None = None
    initializer: Initializer | None = None
    layer: Any = None
    trainable: bool = True

    def __post_init__(self) -> None:
        """Lengths that are numpy's integers, such as ``np.prod(shape)``, become Python's."""
        self.shape = tuple(int(length) if isinstance(length, Integral) else length for length in self.shape)

    __array_priority__ = 100  # numpy arrays leave ``array * node`` to the node

    @property
    def kind(self) -> Kind:
        """``op`` with an op, ``constant`` with a value, ``parameter`` with an initializer, else ``input``."""
        if self.op is not None:
            return "op"
        if self.value is not None:
            return "constant"
        return "parameter" if self.initializer is not None else "input"

    def bound(self, batch: int) -> tuple[int, ...]:
        """Its shape for so many samples."""
        return tuple(batch if isinstance(length, BatchSize) else length for length in self.shape)

    def named(self, name: str) -> Node:
        """Give this node a name, and return it."""
        self.name = name
        return self

    def __repr__(self) -> str:
        what = self.op.label if self.op else self.kind
        return f"<{self.name or what}: {what} {show(self.shape)}>"

    def __add__(self, other: Any) -> Node:
        return apply(arithmetic.Add(), self, other)

    def __radd__(self, other: Any) -> Node:
        return apply(arithmetic.Add(), other, self)

    def __sub__(self, other: Any) -> Node:
        return apply(arithmetic.Subtract(), self, other)

    def __rsub__(self, other: Any) -> Node:
        return apply(arithmetic.Subtract(), other, self)

    def __mul__(self, other: Any) -> Node:
        return apply(arithmetic.Multiply(), self, other)

    def __rmul__(self, other: Any) -> Node:
        return apply(arithmetic.Multiply(), other, self)

    def __truediv__(self, other: Any) -> Node:
        return apply(arithmetic.Divide(), self, other)

    def __rtruediv__(self, other: Any) -> Node:
        return apply(arithmetic.Divide(), other, self)

    def __matmul__(self, other: Any) -> Node:
        return apply(arithmetic.MatMul(), self, other)

    def __neg__(self) -> Node:
        return apply(arithmetic.Negate(), self)

    def __rmatmul__(self, other: Any) -> Node:
        return apply(arithmetic.MatMul(), other, self)

    def __pow__(self, exponent: float) -> Node:
        return apply(arithmetic.Power(exponent), self)

    def __rpow__(self, base: Any) -> Node:
        return apply(arithmetic.Power(self), base)  # type: ignore[arg-type]  # it says what to write instead


def input(name: str, shape: Shape = (), *, integer: bool = False) -> Node:
    """An input of the graph, filled anew for every batch; a scalar by default.

    Arguments:
        name: its key in a plan's ``value``.
        shape: with `N` as the first axis for what comes in batches: ``(N, 784)``.
        integer: True for labels.
    """
    return Node(shape, name=name, integer=integer)


def inputs(names: str) -> list[Node]:
    """Scalar inputs by name: ``a, b, c = inputs("a b c")``."""
    return [input(name) for name in names.split()]


def parameter(
    name: str | None, shape: tuple[int, ...], initializer: Initializer, layer: Any = None, *, trainable: bool = True
) -> Node:
    """A parameter: what training changes. ``initializer(generator, shape)`` gives its first values.

    One that is not ``trainable`` is a running mean: the op that reads it writes the batch's sum of the statistic where
    a gradient would go, the ranks' sums are added up with the gradients, and the step moves the value towards the mean.
    """
    return Node(shape, name=name, initializer=initializer, layer=layer, trainable=trainable)


def constant(value: Any) -> Node:
    """A number or an array that never changes.

    Raises:
        UsageError: if it isn't numeric.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise UsageError(f"a graph takes numbers and nodes, not {type(value).__name__} ({value!r}).")
    return Node(array.shape, value=array, name=str(value) if array.ndim == 0 else None)


def apply(op: Op, *operands: Any) -> Node:
    """The node ``op(operands)``; numbers and arrays become constants.

    Raises:
        ShapeError: by the op's shape rule, naming the operands.
    """
    nodes = tuple(operand if isinstance(operand, Node) else constant(operand) for operand in operands)
    try:
        shape = op.shape(*(node.shape for node in nodes))
    except ShapeError as error:
        names = ", ".join(node.name or (node.op.label if node.op else node.kind) for node in nodes)
        raise ShapeError(f"{error} (operands: {names})") from None
    return Node(shape, op=op, inputs=nodes)


def learning(nodes: Iterable[Node], leaves: set[int]) -> set[int]:
    """The ids of those of ``nodes``, in topological order, from which gradients flow back to one of the ``leaves``."""
    found: set[int] = set()
    for node in nodes:
        flows = node.op is not None and node.op.differentiable and any(id(source) in found for source in node.inputs)
        if flows or id(node) in leaves:
            found.add(id(node))
    return found


def topological(outputs: Iterable[Node]) -> list[Node]:
    """Every node that ``outputs`` depend on, each after its inputs, in an order fixed by the graph alone.

    Depth first without recursion, so that a graph may be deeper than Python's stack.
    """
    order: list[Node] = []
    seen: set[int] = set()
    stack = [(node, False) for node in reversed(list(outputs))]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((source, False) for source in reversed(node.inputs))
    return order
