"""What MPI's Allreduce takes, by the latency-bandwidth models of its algorithms.

Source: Thakur, Rabenseifner and Gropp, Optimization of collective communication operations in MPICH, 2005,
doi 10.1177/1094342005051521. Symbols: p ranks, each with a vector of n bytes; α the latency of a message (s), β the
time a byte takes on its way (s), γ the time to add a byte to another (s).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log2


@dataclass(frozen=True)
class Link:
    """What ranks send each other messages by.

    Attributes:
        latency: α, seconds for each message.
        byte: β, seconds for each byte.
        add: γ, seconds to add a byte that has come to one's own.
    """

    latency: float
    byte: float
    add: float


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
    """Seconds for the sum of vectors of so many bytes, by the fastest algorithm, as a tuned MPI takes it."""
    if ranks == 1:
        return 0.0
    return min(algorithm(ranks, size, link) for algorithm in (recursive_doubling, rabenseifner, ring))


def barrier(ranks: int, link: Link) -> float:
    """⌈lg p⌉ α: by dissemination, each rank tells another in each round that it is there."""
    return ceil(log2(ranks)) * link.latency


def _folding(ranks: int, size: float, link: Link) -> float:
    """2 α + 2 n β + n γ where p is no power of two, else nothing.

    Before the rounds the ranks beyond the power of two give their vectors to others, after them they get the result.
    """
    if ranks & (ranks - 1) == 0:
        return 0.0
    return 2 * link.latency + size * (2 * link.byte + link.add)
