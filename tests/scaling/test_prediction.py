"""Predictions: who has how much to do, and what follows from known rates."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from distnn.data import partition
from distnn.graph.cost import Cost
from distnn.scaling.compute import Estimated, Measured, between
from distnn.scaling.prediction import Machine, largest
from distnn.scaling.rates import Rates
from distnn.scaling.reduction import allreduce
from distnn.scaling.workload import Workload

RATES = Rates(
    flops=1e9,
    call=0.0,
    step=0.0,
    core=1e10,
    memory=1e11,
    cache=1e11,
    cache_size=0.0,
    node_latency=1e-6,
    node_bandwidth=1e11,
    latency=1e-5,
    bandwidth=1e9,
    network=2e9,
)
WORK = Workload(
    samples=1000, epochs=3, batch_size=64, accumulate=1, shards=None, elements=1000, message=4000, sliced=True
)
#: A millisecond a sample.
EVEN = Measured({1: 1e-3, 64: 64e-3}, {1: 0.0, 1000: 0.0}, busy=1, cores=1e9)


@pytest.mark.parametrize("shards", [None, 5, 16])
@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("ranks", [1, 3, 7, 64, 100])
def test_rank_0_has_most(shards: int | None, accumulate: int, ranks: int) -> None:
    work = replace(WORK, shards=shards, accumulate=accumulate)
    for _, samples in work.steps:
        every = [
            sum(
                piece.positions.length
                for index in range(partition.batches(samples, 64))
                for piece in partition.micro_shards(partition.batch(samples, 64, index), shards or ranks, ranks, rank)
            )
            for rank in range(ranks)
        ]
        assert sum(every) == samples
        assert sum(work.pieces(samples, ranks)) == max(every)


def test_the_last_step_of_an_epoch_is_smaller() -> None:
    assert WORK.steps == [(15, 64), (1, 40)]
    assert replace(WORK, batch_size=250, accumulate=2).steps == [(2, 500)]
    assert WORK.lengths([1, 3]) == [14, 22, 40, 64]


def test_one_rank_takes_as_long_as_its_samples() -> None:
    (alone,) = Machine(RATES, EVEN, 1).predict(WORK, [1])
    assert alone.samples_per_s == pytest.approx(1000)
    assert alone.step == alone.compute == pytest.approx(64e-3)
    assert alone.hours == alone.node_hours == pytest.approx(3 * 1.0 / 3600)
    assert alone.efficiency == 1


def test_uneven_shards_wait_for_the_largest() -> None:
    (three,) = Machine(RATES, EVEN, 1).predict(WORK, [3])
    assert three.compute == pytest.approx(22e-3)
    assert three.reduce == pytest.approx(allreduce(3, 4000, RATES.between(1)))
    assert three.node_hours == pytest.approx(3 * three.hours)
    seconds = 15 * three.step + three.step - 22e-3 + 14e-3
    assert three.efficiency == pytest.approx(1.0 / (3 * seconds))


def test_the_sum_by_nodes_is_its_formula() -> None:
    (found,) = Machine(RATES, EVEN, 4).predict(WORK, [2])
    meetings, sums = 2 * 2 * 1e-6, 5 * 4000 / 4e10  # four cores of 1e10 B/s
    assert found.reduce == pytest.approx(meetings + sums + allreduce(2, 1000, RATES.between(4)))
    assert RATES.between(4).byte == pytest.approx(1 / 0.5e9)  # the four share the node's network
    (plain,) = Machine(RATES, EVEN, 4).predict(replace(WORK, sliced=False), [2])
    assert plain.reduce == pytest.approx(allreduce(4, 4000, RATES.within(4)) + allreduce(2, 4000, RATES.between(1)))


def test_the_largest_sensible_number() -> None:
    machine = Machine(RATES, EVEN, 1)
    best = largest(machine, WORK, 64, 0.5)
    after = machine.predict(WORK, range(best.nodes + 1, 65))
    assert best.efficiency >= 0.5
    assert all(each.efficiency < 0.5 for each in after)
    assert largest(machine, WORK, 64, 1.0).nodes == 1


def test_roofline() -> None:
    costs = {8: [Cost(8_000_000, 10), Cost(10, 8_000_000)]}
    estimated = Estimated(replace(RATES, call=1e-6), costs.__getitem__, threads=2, itemsize=4, slots=1)
    arithmetic, traffic = 8e6 / 2e9, 4 * 8e6 / 2e10  # two cores
    assert estimated.piece(8, 1) == pytest.approx(2e-6 + arithmetic + traffic)
    crowded = 4 * 8e6 * 10 / 1e11  # ten ranks share the node's memory
    assert estimated.piece(8, 10) == pytest.approx(2e-6 + arithmetic + crowded)
    assert estimated.update(1000, 1) == pytest.approx(1e-6 + 1000 * 4 * 5 / 1e10)


def test_what_fits_into_the_caches_comes_from_there() -> None:
    rates = replace(RATES, cache=1e12, cache_size=1e6)
    assert rates.traffic(1e6, 1e6, 1000) == pytest.approx(1e-6)
    assert rates.traffic(4e6, 1e6, 1000) == pytest.approx(0.25 * 1e-6 + 0.75 * 1e-5)


def test_times_in_between_are_on_a_line() -> None:
    found = {10: 1.0, 20: 3.0, 40: 4.0}
    assert [between(found, at) for at in (5, 10, 15, 20, 30, 40, 80)] == [1, 1, 2, 3, 3.5, 4, 4]


def test_more_ranks_than_cores_take_turns() -> None:
    alone = Measured({8: 1.0}, {8: 0.5}, busy=1, cores=2)
    assert [alone.piece(8, ranks) for ranks in (1, 2, 4)] == [1, 1, 2]
    crowded = Measured({8: 2.0}, {8: 1.0}, busy=4, cores=2)
    assert (crowded.piece(8, 4), crowded.update(8, 2)) == (2, 0.5)


def test_efficiency_falls_with_a_slow_network() -> None:
    slow = replace(RATES, latency=math.inf)
    assert Machine(slow, EVEN, 1).predict(WORK, [2])[0].efficiency == 0
