"""What summing the gradients over the ranks takes: by MPI's Allreduce, or by slices in the memory of the nodes."""

from __future__ import annotations

from distnn.scaling.allreduce import allreduce, barrier
from distnn.scaling.rates import Rates


def by_allreduce(nodes: int, ranks: int, size: float, rates: Rates) -> float:
    """Seconds of MPI's Allreduce of ``size`` bytes on every one of ``ranks`` ranks on each of ``nodes`` nodes.

    Such as MPI libraries do it on many cores: over the ranks of each node, and over the nodes with one rank each.
    Their overlap with backward (`distnn.parallel.reduction.buckets`) is left out: it can hide some of the time.
    """
    return allreduce(ranks, size, rates.within(ranks)) + allreduce(nodes, size, rates.between(1))


def by_node(nodes: int, ranks: int, size: float, rates: Rates) -> float:
    """Seconds of `distnn.parallel.reduction.node`: with R ranks a node, m nodes, and a vector of n bytes on each rank

        2 ⌈lg R⌉ α  +  (R + 1) n / B  +  Allreduce(m, n / R)

    Two meetings on the node; each rank reads its slice of all R rows and writes the sum, R slices at once, with the
    bandwidth B of the node's memory, or of its caches where these hold the rows; each rank adds its slice up with its
    owners on the other nodes, all R at once, which share the node's network.
    """
    meetings = 2 * barrier(ranks, rates.within(ranks))
    sums = rates.traffic(ranks * size, (ranks + 1) * size, ranks)
    return meetings + sums + allreduce(nodes, size / ranks, rates.between(ranks))
