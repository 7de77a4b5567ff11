"""The steps of a plan, and their fusion: neighbouring operations that can share one buffer become one step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from distnn.graph.node import Node
from distnn.ops.activation import Activation, LinearMap
from distnn.ops.arithmetic import Add, MatMul
from distnn.ops.linear import Affine
from distnn.ops.op import Op


@dataclass(frozen=True)
class PlanStep:
    """One operation of a plan: ``node = op(*inputs)``."""

    op: Op
    inputs: tuple[Node, ...]
    node: Node

    def shapes(self, batch: int) -> list[tuple[int, ...]]:
        """Those of the output and of the inputs for so many samples."""
        return [node.bound(batch) for node in (self.node, *self.inputs)]

    def flops(self, batch: int) -> int:
        """Floating-point operations of one forward for so many samples."""
        return self.op.flops(*self.shapes(batch))


def steps_of(nodes: Iterable[Node]) -> list[PlanStep]:
    """A step for each operation among these nodes."""
    return [PlanStep(node.op, node.inputs, node) for node in nodes if node.op is not None]


def _merged(producer: PlanStep, step: PlanStep) -> PlanStep | None:
    """One step that replaces another and the one that made its first input; None if there is none."""
    first, then = producer.op, step.op
    if type(first) is MatMul and type(then) is Add and step.inputs[1].shape == step.inputs[0].shape[1:]:
        return PlanStep(Affine(), (*producer.inputs, step.inputs[1]), step.node)  # x W, then + b with b (O,)
    if isinstance(first, LinearMap) and not first.activation and isinstance(then, Activation):
        return PlanStep(first.followed_by(then), producer.inputs, step.node)
    return None


def fuse(steps: list[PlanStep], kept: set[int], wrt: set[int]) -> list[PlanStep]:
    """The same computation in fewer steps.

    A step is merged into its consumer only if nothing else reads its output: no other step, and no one outside,
    whose nodes ``kept`` lists by ``id``. Nodes whose gradients are wanted, in ``wrt``, are left alone: a fused step
    may use up its output's gradient.
    """
    readers = Counter(id(source) for step in steps for source in step.inputs)
    made: dict[int, PlanStep] = {}
    result: dict[int, PlanStep] = {}
    for step in steps:
        key = id(step.inputs[0]) if step.inputs else 0
        free = key in made and readers[key] == 1 and key not in kept and id(step.node) not in wrt
        if merged := _merged(made[key], step) if free else None:
            result.pop(key)
        made[id(step.node)] = result[id(step.node)] = merged or step
    return list(result.values())
