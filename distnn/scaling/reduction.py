"""The time to sum the gradients over the ranks: by MPI's Allreduce, or by slices in the memory of the nodes.

Allreduce is predicted by the latency-bandwidth models of its algorithms. Source: Thakur, Rabenseifner and Gropp,
Optimization of collective communication operations in MPICH, 2005, doi 10.1177/1094342005051521. Symbols: p ranks, each
with a vector of n bytes; α the latency of a message (s), β the time to transfer a byte (s), γ the time to add a byte to
another (s).
"""

from __future__ import annotations

from math import ceil, floor, log2

from distnn.scaling.rates import Link, Rates


def recursive_doubling(ranks: int, size: float, link: Link) -> float:
    """lg p (α + n β + n γ): in each round the whole vector goes both ways. Best for short vectors."""
    rounds = floor(log2(ranks))
    return rounds * (link.latency + size * (link.byte + link.add)) + _folding(ranks, size, link)


def rabenseifner(ranks: int, size: float, link: Link) -> float:
    """2 lg p α + 2 (p−1)/p n β + (p−1)/p n γ: a reduce-scatter by halving, then an allgather by doubling."""
    rounds = floor(log2(ranks))
    share = 1 - 0.5**rounds
    moved = share * size * (2 * link.byte + link.add)
    return 2 * rounds * link.latency + moved + _folding(ranks, size, link)


def ring(ranks: int, size: float, link: Link) -> float:
    """2 (p−1) α + 2 (p−1)/p n β + (p−1)/p n γ: any number of ranks alike, but each round has its latency."""
    share = (ranks - 1) / ranks
    return 2 * (ranks - 1) * link.latency + share * size * (2 * link.byte + link.add)


def allreduce(ranks: int, size: float, link: Link) -> float:
    """Seconds to sum vectors of ``size`` bytes by the fastest algorithm, which a tuned MPI chooses."""
    if ranks == 1:
        return 0.0
    return min(algorithm(ranks, size, link) for algorithm in (recursive_doubling, rabenseifner, ring))


def barrier(ranks: int, link: Link) -> float:
    """⌈lg p⌉ α: by dissemination, each rank signals one other in each round."""
    return ceil(log2(ranks)) * link.latency


def _folding(ranks: int, size: float, link: Link) -> float:
    """2 α + 2 n β + n γ where p is no power of two, else nothing.

    Before the rounds, the ranks beyond the power of two give their vectors to others; after them they get the result.
    """
    if ranks & (ranks - 1) == 0:
        return 0.0
    return 2 * link.latency + size * (2 * link.byte + link.add)


def by_allreduce(nodes: int, ranks: int, size: float, rates: Rates) -> float:
    """Seconds of MPI's Allreduce of ``size`` bytes on every one of ``ranks`` ranks on each of ``nodes`` nodes.

    MPI libraries do it in two levels where nodes have many cores: over the ranks of each node, then over the nodes with
    one rank each. The overlap with backward (`distnn.parallel.reduction.buckets`) is left out: it can hide some of the
    time.
    """
    return allreduce(ranks, size, rates.within(ranks)) + allreduce(nodes, size, rates.between(1))


def by_node(nodes: int, ranks: int, size: float, rates: Rates) -> float:
    """Seconds of `distnn.parallel.reduction.node`: with R ranks a node, m nodes, and a vector of n bytes on each rank

        2 ⌈lg R⌉ α  +  (R + 1) n / B  +  Allreduce(m, n / R)

    Two barriers on the node. Each rank reads its slice of all R rows and writes the sum, R slices at once, with the
    bandwidth B of the node's memory, or of its caches where these hold the rows. Then each rank sums its slice with the
    ranks that own it on the other nodes, all R at once, which share the node's network.
    """
    barriers = 2 * barrier(ranks, rates.within(ranks))
    sums = rates.traffic(ranks * size, (ranks + 1) * size, ranks)
    return barriers + sums + allreduce(nodes, size / ranks, rates.between(ranks))
