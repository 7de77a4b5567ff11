"""How long a step takes on a number of nodes, and what the run costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from distnn.scaling.compute import Compute
from distnn.scaling.rates import Rates
from distnn.scaling.reduction import by_allreduce, by_node
from distnn.scaling.workload import Workload


@dataclass(frozen=True)
class Prediction:
    """A step's time in seconds and its parts, and the whole run's cost."""

    nodes: int
    ranks: int  #: of all nodes together
    compute: float  #: seconds of forward and backward, on the rank that has most samples
    reduce: float  #: seconds to sum the gradients
    update: float  #: seconds to update the parameters
    samples_per_s: float  #: samples per second, of all ranks together
    hours: float  #: for the steps of all epochs, without evaluations, checkpoints and the start
    node_hours: float  #: hours times nodes
    efficiency: float  #: samples per second and node, divided by those of a single node

    @property
    def step(self) -> float:
        """Seconds of a whole step."""
        return self.compute + self.reduce + self.update

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"step": self.step}


@dataclass(frozen=True)
class Machine:
    """Any number of nodes of one kind."""

    rates: Rates  #: the speeds of memory and network
    compute: Compute  #: the time of a rank's own work
    ranks: int  #: of each node

    def predict(self, work: Workload, nodes: Sequence[int]) -> list[Prediction]:
        """The predictions for ``work`` on each of these numbers of nodes."""
        alone = self._epoch(work, 1)
        return [self._prediction(work, count, alone) for count in nodes]

    def _prediction(self, work: Workload, nodes: int, alone: float) -> Prediction:
        compute, reduce, update = self._step(work, work.steps[0][1], nodes)
        seconds = self._epoch(work, nodes)
        hours = work.epochs * seconds / 3600
        return Prediction(
            nodes=nodes,
            ranks=nodes * self.ranks,
            compute=compute,
            reduce=reduce,
            update=update,
            samples_per_s=work.samples / seconds,
            hours=hours,
            node_hours=nodes * hours,
            efficiency=alone / (nodes * seconds),
        )

    def _epoch(self, work: Workload, nodes: int) -> float:
        """Seconds of an epoch's steps."""
        return sum(count * sum(self._step(work, size, nodes)) for count, size in work.steps)

    def _step(self, work: Workload, samples: int, nodes: int) -> tuple[float, float, float]:
        """Seconds to compute, reduce and update, for a step of ``samples`` samples."""
        ranks, rates = self.ranks, self.rates
        pieces = work.pieces(samples, nodes * ranks)
        compute = sum(self.compute.piece(length, ranks) for length in pieces) + rates.step
        if len(pieces) > 1:  # each further micro-shard's gradient is added: two vectors read, one written
            moved = 3 * ranks * work.message
            compute += (len(pieces) - 1) * rates.traffic(moved, moved, ranks)
        if work.sliced and ranks > 1:
            slice_ = -(-work.elements // ranks)
            return compute, by_node(nodes, ranks, work.message, rates), self.compute.update(slice_, ranks)
        reduce = by_allreduce(nodes, ranks, work.message, rates)
        return compute, reduce, self.compute.update(work.elements, ranks)


def largest(machine: Machine, work: Workload, most: int, efficiency: float) -> Prediction:
    """The prediction for the largest number of nodes, up to ``most``, that still reaches this efficiency.

    One node does: its efficiency is 1. Between the powers of two the efficiency isn't monotonic, so all are tried.
    """
    predictions = machine.predict(work, range(1, most + 1))
    efficient = [each for each in predictions if each.efficiency >= efficiency]
    return efficient[-1] if efficient else predictions[0]
