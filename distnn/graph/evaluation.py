"""Evaluate a graph once and show every intermediate value and derivative, as the lecture does.

>>> from distnn import graph
>>> a, b, c = graph.inputs("a b c")
>>> z = (3 * a + 2 * b * c).named("z")
>>> graph.evaluate(z, a=1, b=2, c=3)["z"]
15.0

The lecture's second example, J = 3 (a + b c), with u = b c and v = a + u:

>>> u = (b * c).named("u")
>>> v = (a + u).named("v")
>>> J = (3 * v).named("J")
>>> run = graph.evaluate(J, a=5, b=3, c=2)
>>> run["u"], run["v"], run["J"]
(6.0, 11.0, 33.0)
>>> run.gradient["v"], run.gradient["u"]
(3.0, 3.0)
>>> run.gradient["a"], run.gradient["b"], run.gradient["c"]
(3.0, 6.0, 9.0)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from distnn.arrays import Array, BatchSize
from distnn.errors import ShapeError, UsageError, nearest
from distnn.graph.node import Node, topological
from distnn.graph.plan import Plan, bind_input


def _plain(array: Array) -> Any:
    """A float for a scalar, a copy for an array."""
    return float(array) if array.ndim == 0 else array.copy()


class Evaluation(dict[str, Any]):
    """The values of a graph's named nodes, and the gradients of the one that was evaluated.

    Attributes:
        gradient: ∂(output)/∂(node) by the node's name.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__({name: _plain(array) for name, array in plan.value.items()})
        self.gradient: dict[str, Any] = {name: _plain(array) for name, array in plan.gradient.items()}


def evaluate(output: Node, **values: Any) -> Evaluation:
    """Compute ``output`` and, if it is a scalar, its derivative with respect to every node, in float64.

    Arguments:
        output: the node; its name is ``output`` if it has none.
        values: a value for each input of the graph.

    Raises:
        UsageError: if an input has no value, or a value no input.
        ShapeError: if a value's shape doesn't fit.
    """
    inputs = {str(node.name): node for node in topological([output]) if node.kind == "input"}
    for name in values:
        if name not in inputs:
            raise UsageError(f"the graph has no input '{name}'{nearest(name, inputs)}; it has {', '.join(inputs)}.")
    if missing := [name for name in inputs if name not in values]:
        raise UsageError(f"the graph's input '{missing[0]}' has no value.")
    batches = {
        np.shape(values[name])[0]
        for name, node in inputs.items()
        if node.shape and isinstance(node.shape[0], BatchSize) and np.ndim(values[name])
    }
    if len(batches) > 1:
        raise ShapeError(f"the inputs' batches differ in length: {sorted(batches)}.")
    plan = Plan(
        {output.name or "output": output},
        batch=batches.pop() if batches else 1,
        loss=output if output.shape == () else None,
        dtype=np.float64,
        keep=True,
    )
    for name, value in values.items():
        bind_input(plan, name, np.asarray(value))
    plan.forward()
    plan.backward()
    return Evaluation(plan)
