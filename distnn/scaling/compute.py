"""The time of a rank's own work, which is a micro-shard forward and backward and the update: estimated or measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from distnn.graph.cost import Cost
from distnn.scaling.rates import Rates


class Compute(Protocol):
    """The seconds of a rank's own work while ``ranks`` ranks of its node are busy."""

    def piece(self, samples: int, ranks: int) -> float:
        """Fetching a micro-shard of ``samples`` samples, and its forward and backward pass."""

    def update(self, elements: int, ranks: int) -> float:
        """The optimiser's update of ``elements`` parameters on each rank."""


class Estimated:
    """From counts and rates: each operation takes its call, plus the longer of its arithmetic and its memory traffic.

    The roofline model: Williams, Waterman and Patterson, Roofline: an insightful visual performance model for multicore
    architectures, 2009, doi 10.1145/1498765.1498785.

    Arguments:
        rates: the machine's speeds.
        costs: gives the operations for a batch of so many samples.
        threads: cores of each rank.
        itemsize: bytes of a number.
        slots: the number of the optimiser's vectors.
    """

    def __init__(
        self, rates: Rates, costs: Callable[[int], list[Cost]], *, threads: int, itemsize: int, slots: int
    ) -> None:
        self._rates, self._threads, self._itemsize, self._slots = rates, threads, itemsize, slots
        self._costs = cache(costs)

    def piece(self, samples: int, ranks: int) -> float:
        """Σ over the operations of call + max(flops / rate, bytes / bandwidth)."""
        rates, cores = self._rates, self._threads * ranks
        speed = self._threads * rates.flops
        costs = self._costs(samples)
        held = ranks * self._itemsize * sum(cost.elements for cost in costs)
        # Seconds for each element while every rank of the node reads and writes as much.
        element = ranks * rates.traffic(held, self._itemsize, cores)
        return sum(rates.call + max(cost.flops / speed, cost.elements * element) for cost in costs)

    def update(self, elements: int, ranks: int) -> float:
        """Values and slots are read and written, gradients are read: 3 + 2 · slots numbers for each element."""
        moved = ranks * elements * self._itemsize * (3 + 2 * self._slots)
        return self._rates.call + self._rates.traffic(moved, moved, ranks)


@dataclass(frozen=True)
class Measured:
    """From the measured times of the real plan and the real update, linear in between.

    Attributes:
        pieces: seconds, by the number of samples in a micro-shard.
        updates: seconds, by the number of elements.
        busy: how many ranks of a node were busy during the measurement; more than ``cores`` ranks take turns.
        cores: the node's cores, divided by the threads of each rank.
    """

    pieces: Mapping[int, float]
    updates: Mapping[int, float]
    busy: int
    cores: float

    def piece(self, samples: int, ranks: int) -> float:
        """As measured; twice as long on half a core."""
        return self._turns(ranks) * between(self.pieces, samples)

    def update(self, elements: int, ranks: int) -> float:
        """As measured; twice as long on half a core."""
        return self._turns(ranks) * between(self.updates, elements)

    def _turns(self, ranks: int) -> float:
        return max(1.0, ranks / self.cores) / max(1.0, self.busy / self.cores)


def between(points: Mapping[int, float], at: int) -> float:
    """The value at ``at`` by linear interpolation between the points; beyond the ends, that of the nearest point."""
    places = sorted(points)
    below = max((place for place in places if place <= at), default=places[0])
    above = min((place for place in places if place >= at), default=places[-1])
    share = (at - below) / (above - below) if above > below else 0.0
    return points[below] + share * (points[above] - points[below])
