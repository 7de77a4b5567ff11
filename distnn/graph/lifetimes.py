"""When each buffer of a plan is in use: from its first write to its last reader, forward and backward.

Time runs from 0 to n − 1 over the forward steps and to 2n − 1 over the backward ones: step i runs back at 2n − 1 − i.
Inputs are filled before, at −1; what is read after the step lives until 2n.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from distnn.graph.fusion import PlanStep
from distnn.graph.memory import Allocation
from distnn.graph.node import Node, learning, topological


@dataclass(eq=False)
class Lifetimes:
    """The buffers of a plan, each with the time it is needed.

    Arguments:
        nodes: of the graph, in topological order.
        steps: what is computed, in order.
        batch: the number of samples.
        dtype: of everything but labels.
        kept: the ids of nodes whose values are read from outside.
        wrt: the ids of nodes whose gradients are read from outside.
        loss: the node that is differentiated, or None.
        keep: whether every value and gradient is read from outside.
        external: whether the parameters' gradients have memory of their own.

    Attributes:
        needs: the ids of the nodes through which gradients flow.
        values, gradients: buffers by the node's id.
        works: for each step the buffers that its op asked for, by name.
        scratches: buffers for second and later contributions to a gradient before they are added, by (step, input).
    """

    nodes: list[Node]
    steps: list[PlanStep]
    _: KW_ONLY
    batch: int
    dtype: np.dtype[Any]
    kept: set[int]
    wrt: set[int]
    loss: Node | None
    keep: bool
    external: bool

    def __post_init__(self) -> None:
        self._end = 2 * len(self.steps)
        self._base = self._bases()
        looked_at = {id(node) for node in self.nodes} if self.keep else self.kept
        self._kept = {self._base.get(key, key) for key in looked_at}
        self.needs = self._need_gradients()
        self.values, self.works = self._value_buffers(), self._work_buffers()
        self.gradients: dict[int, Allocation] = {}
        self.scratches: dict[tuple[int, int], Allocation] = {}
        self._add_gradient_buffers()

    @property
    def buffers(self) -> list[Allocation]:
        """All of them."""
        works = [buffer for work in self.works for buffer in work.values()]
        return [*self.values.values(), *self.gradients.values(), *self.scratches.values(), *works]

    def _undo(self, i: int) -> int:
        return self._end - 1 - i

    def _bases(self) -> dict[int, int]:
        """For each view the node whose memory it shares, both by id."""
        bases: dict[int, int] = {}
        for step in self.steps:
            if step.op.view:
                bases[id(step.node)] = bases.get(id(step.inputs[0]), id(step.inputs[0]))
        return bases

    def _need_gradients(self) -> set[int]:
        if self.loss is None:
            return set()
        kinds = ("parameter", "input") if self.keep else ("parameter",)
        leaves = {id(node) for node in self.nodes if not node.integer and (node.kind in kinds or id(node) in self.wrt)}
        return learning(self.nodes, leaves) & {id(node) for node in topological([self.loss])}

    def _value_buffers(self) -> dict[int, Allocation]:
        """A buffer for every input and every step's output, alive until its last reader has run."""
        buffers: dict[int, Allocation] = {}
        for node in self.nodes:
            if node.kind == "input":
                dtype = np.dtype(np.intp) if node.integer else self.dtype
                buffers[id(node)] = Allocation(node.bound(self.batch), dtype, -1, 0)
        for i, step in enumerate(self.steps):
            backward = id(step.node) in self.needs
            end = self._undo(i) if backward and step.op.keeps_output else i
            if not step.op.view:
                buffers[id(step.node)] = Allocation(step.node.bound(self.batch), self.dtype, i, end)
            for source in step.inputs:
                base = self._base.get(id(source), id(source))
                if base in buffers:
                    last = self._undo(i) if backward and step.op.keeps_inputs else i
                    buffers[base].end = max(buffers[base].end, last)
        for key, buffer in buffers.items():
            if key in self._kept:
                buffer.end = self._end
        return buffers

    def _add_gradient_buffers(self) -> None:
        """A buffer for every gradient that isn't a parameter's, alive from its first contribution to its last use.

        Contributions after the first get a scratch.
        """
        forever = self.wrt | (self._kept if self.keep else set())
        leaves = {id(node) for node in self.nodes if node.op is None}
        written: set[int] = set()
        for i, step in reversed(list(enumerate(self.steps))):
            now = self._undo(i)
            if id(step.node) not in self.needs:
                continue
            if id(step.node) in self.gradients and id(step.node) not in forever:
                self.gradients[id(step.node)].end = now
            for k, source in enumerate(step.inputs):
                key, shape = id(source), source.bound(self.batch)
                if key not in self.needs:
                    continue
                if key in written:
                    self.scratches[i, k] = Allocation(shape, self.dtype, now, now)
                elif not (source.kind == "parameter" and self.external):
                    end = self._end if key in forever | leaves else now
                    self.gradients[key] = Allocation(shape, self.dtype, now, end)
                written.add(key)

    def _work_buffers(self) -> list[dict[str, Allocation]]:
        """What each step's op asks for beside its inputs and output."""
        works: list[dict[str, Allocation]] = []
        for i, step in enumerate(self.steps):
            backward = id(step.node) in self.needs
            spans = {
                "forward": (i, i),
                "backward": (self._undo(i),) * 2,
                "saved": (i, self._undo(i) if backward else i),
            }
            asked = step.op.work(*step.shapes(self.batch))
            works.append(
                {
                    name: Allocation(work.shape, np.dtype(work.dtype or self.dtype), *spans[work.span])
                    for name, work in asked.items()
                    if backward or work.span != "backward"
                }
            )
        return works
