"""The time of a rank's own work, which is a micro-shard forward and backward and the update: estimated or measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from distnn.graph.cost import Cost
from distnn.scaling.rates import Rates


@dataclass(frozen=True)
class Estimated:
    """From counts and rates: each operation takes its call, plus the longer of its arithmetic and its memory traffic.

    The roofline model: Williams, Waterman and Patterson, Roofline: an insightful visual performance model for multicore
    architectures, 2009, doi 10.1145/1498765.1498785.
    """

    rates: Rates
    costs: Callable[[int], list[Cost]]  #: the operations for a batch of so many samples
    threads: int  #: cores of each rank
    itemsize: int  #: bytes of a number
    slots: int  #: the number of the optimiser's vectors

    def piece(self, samples: int, ranks: int) -> float:
        """Σ over the operations of call + max(flops / rate, bytes / bandwidth)."""
        rates, cores = self.rates, self.threads * ranks
        speed = self.threads * rates.flops
        costs = self.costs(samples)
        held = ranks * self.itemsize * sum(cost.elements for cost in costs)
        # Seconds for each element while every rank of the node reads and writes as much.
        element = ranks * rates.traffic(held, self.itemsize, cores)
        return sum(rates.call + max(cost.flops / speed, cost.elements * element) for cost in costs)

    def update(self, elements: int, ranks: int) -> float:
        """Values and slots are read and written, gradients are read: 3 + 2 · slots numbers for each element."""
        moved = ranks * elements * self.itemsize * (3 + 2 * self.slots)
        return self.rates.call + self.rates.traffic(moved, moved, ranks)


@dataclass(frozen=True)
class Measured:
    """From the measured times of the real plan and the real update, linear in between."""

    pieces: Mapping[int, float]  #: seconds, by the number of samples in a micro-shard
    updates: Mapping[int, float]  #: seconds, by the number of elements
    busy: int  #: ranks of a node during the measurement; more than ``cores`` ranks take turns
    cores: float  #: the node's, divided by the threads of each rank

    def piece(self, samples: int, ranks: int) -> float:
        """As measured; twice as long on half a core."""
        return self._turns(ranks) * between(self.pieces, samples)

    def update(self, elements: int, ranks: int) -> float:
        """As measured; twice as long on half a core."""
        return self._turns(ranks) * between(self.updates, elements)

    def _turns(self, ranks: int) -> float:
        return max(1.0, ranks / self.cores) / max(1.0, self.busy / self.cores)


#: The seconds of a rank's own work while so many ranks of its node are busy.
Compute = Estimated | Measured


def between(points: Mapping[int, float], at: int) -> float:
    """The value at ``at`` by linear interpolation between the points; beyond the ends, that of the nearest point."""
    places = sorted(points)
    below = max((place for place in places if place <= at), default=places[0])
    above = min((place for place in places if place >= at), default=places[-1])
    share = (at - below) / (above - below) if above > below else 0.0
    return points[below] + share * (points[above] - points[below])
