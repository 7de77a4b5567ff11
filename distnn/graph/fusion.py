"""The steps of a plan, and their fusion: neighbouring operations that can share one buffer become one step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from distnn.graph.node import Node
from distnn.ops.activation import Activation
from distnn.ops.arithmetic import Add, MatMul
from distnn.ops.conv.convolution import Conv2D
from distnn.ops.linear import Affine, AffineActivation
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


def _matmul_bias(step: PlanStep, producer: PlanStep) -> PlanStep | None:
    """x W, then + b with b (O,): an affine map."""
    if type(step.op) is not Add or type(producer.op) is not MatMul:
        return None
    product, bias = step.inputs
    if bias.shape != product.shape[1:]:
        return None
    return PlanStep(Affine(), (*producer.inputs, bias), step.node)


def _affine_activation(step: PlanStep, producer: PlanStep) -> PlanStep | None:
    """x W + b, then f: an affine map with its activation in place."""
    if not isinstance(step.op, Activation) or type(producer.op) is not Affine:
        return None
    return PlanStep(AffineActivation(step.op), producer.inputs, step.node)


def _convolution_activation(step: PlanStep, producer: PlanStep) -> PlanStep | None:
    """A convolution, then f: the convolution with its activation in place."""
    if not isinstance(step.op, Activation) or not isinstance(producer.op, Conv2D) or producer.op.activation:
        return None
    return PlanStep(producer.op.followed_by(step.op), producer.inputs, step.node)


#: Each rule takes a step and the step that made its first input, and returns one that replaces both, or None.
RULES = (_matmul_bias, _affine_activation, _convolution_activation)


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
        current = step
        for rule in RULES:
            source = current.inputs[0] if current.inputs else None
            producer = made.get(id(source))
            if producer is None or readers[id(source)] != 1 or id(source) in kept or id(step.node) in wrt:
                continue
            if merged := rule(current, producer):
                result.pop(id(source))
                current = merged
        made[id(step.node)] = result[id(step.node)] = current
    return list(result.values())
