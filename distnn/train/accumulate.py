"""This rank's micro-shards of a step, one after the other: forward, backward, and their sums added up; and, where a
number isn't finite, once more, operation by operation, to find where it came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from distnn.data.partition import Batching, Shard
from distnn.data.source import Source
from distnn.graph.memory import BufferPool
from distnn.graph.plan import Plan
from distnn.models.model import Model
from distnn.parallel.reduction.reduction import Reduction
from distnn.parallel.world import Heartbeat
from distnn.train.carried import Carried
from distnn.train.timeline import Timeline


@dataclass
class Seconds:
    """This rank's seconds of computing, of communicating, and of waiting for samples."""

    compute: float = 0.0
    comm: float = 0.0
    data: float = 0.0

    def __iadd__(self, other: Seconds) -> Seconds:
        self.compute += other.compute
        self.comm += other.comm
        self.data += other.data
        return self


class Accumulation:
    """Leaves the gradients of this rank's micro-shards, and their sums over samples, in the reduction's message.

    The heartbeat hears of each micro-shard; the reduction may use its gradients while backward completes them. The
    other arguments are those of `distnn.train.step.Step`.
    """

    def __init__(
        self,
        heartbeat: Heartbeat,
        model: Model,
        source: Source,
        reduction: Reduction,
        batching: Batching,
        carried: Carried,
        timeline: Timeline | None,
    ) -> None:
        self.model, self.source, self.batching, self.carried = model, source, batching, carried
        self.comm, self.gradients, self.progress = reduction.comm, reduction.gradients, reduction.progress
        self.parameters = self.gradients.parameters
        self._heartbeat, self._timeline = heartbeat, timeline
        self._exchange = self.comm.allreduce if model.exchanges and self.comm.size > 1 else None
        self._pool = BufferPool()
        self._plans: dict[int, Plan] = {}
        self._sums = model.layout.zeros().vector
        self._key = np.array([batching.seed, 0, 0], np.intp)

    def run(self, window: int, number: int, spent: Seconds) -> None:
        """Compute this rank's part of the epoch's ``window``-th step, which is the run's ``number``-th."""
        self._key[1] = number
        pieces = self.pieces(window)
        self.gradients.begin(len(pieces))
        for piece in pieces:
            self._add(piece, spent, alone=len(pieces) == 1)
        if self._exchange:
            self._join(self.batching.batches(len(self.source), window).length - len(pieces))

    def pieces(self, window: int) -> list[Shard]:
        """This rank's micro-shards in the epoch's ``window``-th step."""
        return self.batching.pieces(len(self.source), window, self.comm.size, self.comm.rank)

    def _add(self, piece: Shard, spent: Seconds, *, alone: bool) -> None:
        """Add a micro-shard."""
        length = piece.positions.length
        plan = self.plan(length)
        start = perf_counter()
        self.fill(plan, piece)
        filled = perf_counter()
        plan.forward()
        turned = perf_counter()
        plan.backward(self.progress if alone else None)
        if self._timeline:
            self._timeline.step(start, filled, turned, perf_counter(), piece.shard)
        self.carried.after(plan, piece.positions)
        self.model.layout.read(plan.value, length, self._sums)
        self.gradients.add(self._sums)
        self._heartbeat.beat()
        spent.data += filled - start
        spent.compute += perf_counter() - filled

    def fill(self, plan: Plan, piece: Shard) -> None:
        """Give a plan the samples of a micro-shard of this step, and what else it needs."""
        self.source.fill(piece.positions, self.model.inputs(plan))
        self.carried.before(plan, piece.positions)
        if "key" in plan.value:
            self._key[2] = piece.shard
            np.copyto(plan.value["key"], self._key)

    def _join(self, batches: int) -> None:
        """Take part in the sums that other ranks need in the step's last batches, of which this rank has nothing."""
        for _ in range(batches):
            for length in self.plan(1).messages:
                self._exchange(np.zeros(length, self.parameters.dtype))  # type: ignore[misc]

    def plan(self, length: int) -> Plan:
        """The training plan for ``length`` samples; all lengths share one pool of memory."""
        if length not in self._plans:
            self._plans[length] = self.model.training_plan(length, self.parameters, self._pool, self._exchange)
            if self._timeline:
                self._plans[length].watch(self._timeline.add)
        return self._plans[length]


def diagnose(accumulation: Accumulation, window: int) -> str:
    """What first made an infinite number or NaN in the epoch's ``window``-th step, and on which rank; empty if unknown.

    Every rank has to call it, before the next step. A model that sums over the ranks in mid-forward is not looked at.
    """
    comm = accumulation.comm
    causes = comm.allgather("" if accumulation.model.exchanges else _own_cause(accumulation, window))
    return next(
        (f"{text}, on rank {rank} (host {comm.hosts[rank]})" for rank, text in enumerate(causes) if text),
        "",
    )


def _own_cause(accumulation: Accumulation, window: int) -> str:
    """What this rank's micro-shards made."""
    for piece in accumulation.pieces(window):
        plan = accumulation.model.training_plan(piece.positions.length, accumulation.parameters, keep=True)
        accumulation.fill(plan, piece)
        plan.forward()
        plan.backward()
        if text := plan.not_finite():
            return f"{text}, in micro-shard {piece.shard}"
    return ""
