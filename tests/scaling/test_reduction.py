"""The models of Allreduce: against a simulation of the algorithms' rounds, and against ARCHER2's own figures."""

from __future__ import annotations

import pytest

from distnn.config import site
from distnn.scaling.rates import Link, Rates
from distnn.scaling.reduction import allreduce, barrier, by_allreduce, rabenseifner, recursive_doubling, ring

LINK = Link(latency=2e-6, byte=1e-9, add=0.2e-9)

#: osu_allreduce on ARCHER2, 128 ranks a node, OFI, µs: by bytes, on 1, 8, 32 and 128 nodes
#: (github.com/ARCHER2-HPC/performance_ofi-ucx, OSU-MPI).
OSU = {
    4: (4.1, 13.2, 17.2, 27.7),
    2**15: (59, 92, 139, None),
    2**16: (94, 125, 213, 300),
    2**20: (1968, 2125, 2384, 2559),
}
#: How far the model may be off. The figures for one size differ by up to seven times from 1 to 128 nodes. Four numbers,
#: fitted to these same fifteen figures, come within 1.46 of the worst, 64 KiB on 128 nodes, and within 1.4 of the
#: others; so this shows that the model's form fits, and not that it foretells. The figure left out is where MPI has
#: fewer elements than ranks and takes a slower algorithm, which distnn's padding avoids.
FACTOR = 1.5


def rounds(ranks: int) -> int:
    """By counting: how often a power of two doubles up to at most ``ranks``."""
    count = 0
    while 2 ** (count + 1) <= ranks:
        count += 1
    return count


def simulated_halving(ranks: int, size: float, link: Link) -> float:
    """Rabenseifner's algorithm on a power of two, message by message."""
    seconds, part = 0.0, size
    for _ in range(rounds(ranks)):
        part /= 2
        seconds += link.latency + part * (link.byte + link.add)
    for _ in range(rounds(ranks)):
        seconds += link.latency + part * link.byte
        part *= 2
    return seconds


@pytest.mark.parametrize("ranks", [2, 4, 64, 1024])
def test_rabenseifner_is_its_messages(ranks: int) -> None:
    assert rabenseifner(ranks, 1e6, LINK) == pytest.approx(simulated_halving(ranks, 1e6, LINK))


@pytest.mark.parametrize("ranks", [2, 3, 7, 64])
def test_ring_is_its_messages(ranks: int) -> None:
    part = 1e6 / ranks
    scatter = sum(LINK.latency + part * (LINK.byte + LINK.add) for _ in range(ranks - 1))
    gather = sum(LINK.latency + part * LINK.byte for _ in range(ranks - 1))
    assert ring(ranks, 1e6, LINK) == pytest.approx(scatter + gather)


@pytest.mark.parametrize("algorithm", [recursive_doubling, rabenseifner])
def test_ranks_beyond_a_power_of_two_cost_two_messages_more(algorithm: object) -> None:
    assert callable(algorithm)
    more = 2 * LINK.latency + 1e6 * (2 * LINK.byte + LINK.add)
    assert algorithm(5, 1e6, LINK) == pytest.approx(algorithm(4, 1e6, LINK) + more)
    assert algorithm(7, 1e6, LINK) == algorithm(5, 1e6, LINK)


def test_the_fastest_algorithm_is_taken() -> None:
    assert allreduce(1, 1e9, LINK) == 0
    assert allreduce(64, 8, LINK) == recursive_doubling(64, 8, LINK)
    assert allreduce(64, 1e8, LINK) == rabenseifner(64, 1e8, LINK)
    assert allreduce(6, 1e9, LINK) == ring(6, 1e9, LINK)


def test_a_barrier_needs_a_round_for_each_doubling() -> None:
    assert [barrier(ranks, LINK) / LINK.latency for ranks in (1, 2, 3, 4, 5, 128)] == [0, 1, 2, 2, 3, 7]


@pytest.mark.parametrize("size", OSU)
def test_archer2_is_met_within_a_factor(size: int) -> None:
    given = site.read("archer2").rates
    assert given is not None
    rates = Rates.of(given)
    for nodes, microseconds in zip((1, 8, 32, 128), OSU[size], strict=True):
        if microseconds is not None:
            predicted = 1e6 * by_allreduce(nodes, 128, size, rates)
            assert 1 / FACTOR < predicted / microseconds < FACTOR, (nodes, predicted, microseconds)
