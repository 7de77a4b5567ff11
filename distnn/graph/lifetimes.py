"""When each buffer of a plan is in use: from its first write to its last reader, forward and backward.

Time runs from 0 to n − 1 over the forward steps and to 2n − 1 over the backward ones: step i runs back at 2n − 1 − i.
Inputs are filled before, at −1; what is read after the step lives until 2n.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from distnn.arrays import BatchSize
from distnn.graph.fusion import PlanStep
from distnn.graph.memory import Allocation
from distnn.graph.node import Node, topological


class Lifetimes:
    """The buffers of a plan, each with the time it is needed.

    Arguments:
        nodes: of the graph, in topological order.
        steps: what is computed, in order.
        batch: the number of samples.
        dtype: of everything but labels.
        kept: the ids of nodes whose values are read from outside.
        wrt: nodes whose gradients are read from outside.
        loss: the node that is differentiated, or None.
        keep: whether every value and gradient is read from outside.
        external: whether the parameters' gradients have memory of their own.

    Attributes:
        needs: the ids of the nodes through which gradients flow.
        values, gradients: buffers by the node's id.
        works: for each step the buffers that its op asked for, by name.
        scratches: buffers for second and later contributions to a gradient before they are added, by (step, input).
    """

    def __init__(
        self,
        nodes: list[Node],
        steps: list[PlanStep],
        *,
        batch: int,
        dtype: np.dtype[Any],
        kept: set[int],
        wrt: Iterable[Node],
        loss: Node | None,
        keep: bool,
        external: bool,
    ) -> None:
        self._nodes, self._steps, self._batch, self._dtype = nodes, steps, batch, dtype
        self._wrt, self._keep, self._external = {id(node) for node in wrt}, keep, external
        self._base = self._bases()
        looked_at = {id(node) for node in nodes} if keep else kept
        self._kept = {self._base.get(key, key) for key in looked_at}
        self.needs = self._need_gradients(loss)
        self.values, self.gradients = self._value_buffers(), self._gradient_buffers()
        self.works, self.scratches = self._work_buffers(), self._scratch_buffers()

    @property
    def buffers(self) -> list[Allocation]:
        """All of them."""
        works = [buffer for work in self.works for buffer in work.values()]
        return [*self.values.values(), *self.gradients.values(), *self.scratches.values(), *works]

    def bound(self, node: Node) -> tuple[int, ...]:
        """The node's shape with the batch bound."""
        return tuple(self._batch if isinstance(length, BatchSize) else length for length in node.shape)

    def _undo(self, i: int) -> int:
        return 2 * len(self._steps) - 1 - i

    @property
    def _end(self) -> int:
        return 2 * len(self._steps)

    def _bases(self) -> dict[int, int]:
        """For each view the node whose memory it shares, both by id."""
        bases: dict[int, int] = {}
        for step in self._steps:
            if step.op.view:
                bases[id(step.node)] = bases.get(id(step.inputs[0]), id(step.inputs[0]))
        return bases

    def _need_gradients(self, loss: Node | None) -> set[int]:
        if loss is None:
            return set()
        upstream: set[int] = set()
        for node in self._nodes:
            leaf = node.kind == "parameter" or id(node) in self._wrt or (self._keep and node.kind == "input")
            flows = node.op is not None and node.op.differentiable and any(id(x) in upstream for x in node.inputs)
            if not node.integer and (leaf or flows):
                upstream.add(id(node))
        return upstream & {id(node) for node in topological([loss])}

    def _value_buffers(self) -> dict[int, Allocation]:
        """A buffer for every input and every step's output, alive until its last reader has run."""
        buffers: dict[int, Allocation] = {}
        for node in self._nodes:
            if node.kind == "input":
                dtype = np.dtype(np.intp) if node.integer else self._dtype
                buffers[id(node)] = Allocation(self.bound(node), dtype, -1, 0)
        for i, step in enumerate(self._steps):
            backward = id(step.node) in self.needs
            end = self._undo(i) if backward and step.op.keeps_output else i
            if not step.op.view:
                buffers[id(step.node)] = Allocation(self.bound(step.node), self._dtype, i, end)
            for source in step.inputs:
                base = self._base.get(id(source), id(source))
                if base in buffers:
                    last = self._undo(i) if backward and step.op.keeps_inputs else i
                    buffers[base].end = max(buffers[base].end, last)
        for key, buffer in buffers.items():
            if key in self._kept:
                buffer.end = self._end
        return buffers

    def _gradient_buffers(self) -> dict[int, Allocation]:
        """A buffer for every gradient that isn't a parameter's, alive from its first contribution to its last use."""
        buffers: dict[int, Allocation] = {}
        forever = self._wrt | (self._kept if self._keep else set())
        leaves = {id(node) for node in self._nodes if node.op is None}
        for i in reversed(range(len(self._steps))):
            step = self._steps[i]
            if id(step.node) not in self.needs:
                continue
            if id(step.node) in buffers and id(step.node) not in forever:
                buffers[id(step.node)].end = self._undo(i)
            for source in step.inputs:
                mine = id(source) in self.needs and not (source.kind == "parameter" and self._external)
                if mine and id(source) not in buffers:
                    end = self._end if id(source) in forever | leaves else self._undo(i)
                    buffers[id(source)] = Allocation(self.bound(source), self._dtype, self._undo(i), end)
        return buffers

    def _work_buffers(self) -> list[dict[str, Allocation]]:
        """What each step's op asks for beside its inputs and output."""
        works: list[dict[str, Allocation]] = []
        for i, step in enumerate(self._steps):
            backward = id(step.node) in self.needs
            spans = {
                "forward": (i, i),
                "backward": (self._undo(i),) * 2,
                "saved": (i, self._undo(i) if backward else i),
            }
            asked = step.op.work(self.bound(step.node), *map(self.bound, step.inputs))
            works.append(
                {
                    name: Allocation(work.shape, np.dtype(work.dtype or self._dtype), *spans[work.span])
                    for name, work in asked.items()
                    if backward or work.span != "backward"
                }
            )
        return works

    def _scratch_buffers(self) -> dict[tuple[int, int], Allocation]:
        scratches: dict[tuple[int, int], Allocation] = {}
        written: set[int] = set()
        for i in reversed(range(len(self._steps))):
            step = self._steps[i]
            for k, source in enumerate(step.inputs):
                if id(step.node) in self.needs and id(source) in self.needs:
                    if id(source) in written:
                        scratches[i, k] = Allocation(self.bound(source), self._dtype, self._undo(i), self._undo(i))
                    written.add(id(source))
        return scratches
