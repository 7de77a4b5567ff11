"""Orders: every sample once an epoch, known block by block, and the same whoever asks and from wherever they begin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distnn.data import DataFile
from distnn.data.file.writing import write_data
from distnn.data.loader import Loader
from distnn.data.order import GROUPS, Buffered, Order, groups, permutation, shuffled, side_by_side, stored
from distnn.data.partition import Range, batch, batches, micro_shards
from tests.support.runs import alone, assembled


@given(st.integers(1, 300), st.integers(0, 2**63 - 1), st.integers(0, 1000))
def test_an_order_holds_every_sample_once_and_is_the_same_each_time(samples: int, seed: int, epoch: int) -> None:
    order = permutation(samples, seed, epoch)
    assert order.dtype == np.intp
    assert sorted(order.tolist()) == list(range(samples))
    np.testing.assert_array_equal(order, permutation(samples, seed, epoch))


def test_orders_differ_by_seed_and_epoch() -> None:
    orders = [tuple(permutation(100, seed, epoch).tolist()) for seed in range(3) for epoch in range(3)]
    assert len(set(orders)) == 9
    assert tuple(range(100)) not in orders
    np.testing.assert_array_equal(permutation(5, 0, 3, shuffle=False), np.arange(5))


def test_the_order_is_part_of_the_format() -> None:
    """A checkpoint in the middle of an epoch counts on it: another order would repeat samples and leave some out."""
    assert permutation(10, 0, 0).tolist() == [5, 3, 6, 1, 0, 8, 9, 7, 2, 4]
    assert permutation(10, 7, 3).tolist() == [6, 4, 0, 9, 8, 2, 5, 1, 3, 7]


@given(st.integers(1, 300), st.data())
def test_streams_are_contiguous_pieces_read_side_by_side(samples: int, data: st.DataObject) -> None:
    streams = data.draw(st.integers(1, samples))
    order = permutation(samples, 0, 0, streams=streams)
    assert order.dtype == np.intp
    read = [order[stream::streams].tolist() for stream in range(streams)]
    assert [place for stream in read for place in stream] == list(range(samples))
    assert max(map(len, read)) - min(map(len, read)) <= 1


def test_streams_that_one_can_check_by_eye() -> None:
    assert permutation(11, 0, 0, streams=4).tolist() == [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8]


def numbers(order: Order, seed: int = 0, epoch: int = 0) -> list[int]:
    """All of an epoch's samples, block by block."""
    order.begin(seed, epoch)
    room = np.empty(order.longest, np.intp)
    return [n for block in range(len(order.starts) - 1) for n in order.numbers(block, room).tolist()]


@st.composite
def orders(draw: st.DrawFn) -> tuple[int, Order]:
    """A number of samples and an order of them, of every kind, in blocks of every length."""
    samples = draw(st.integers(1, 200))
    block = draw(st.none() | st.integers(1, 250))
    kind = draw(st.sampled_from(["stored", "shuffled", "streams", "buffered", "buffered"]))
    if kind == "buffered":
        chunk, size, target = draw(st.integers(1, 60)), draw(st.integers(1, 8)), draw(st.integers(1, 300))
        buffer = draw(st.integers(1, 250))
        return samples, Buffered(groups(samples, chunk, size, buffer, target), buffer)
    if kind == "streams":
        return samples, side_by_side(samples, draw(st.integers(1, samples)), block)
    return samples, shuffled(samples, block) if kind == "shuffled" else stored(samples, block)


@given(orders(), st.integers(0, 2**63 - 1), st.integers(0, 9))
def test_an_order_in_blocks_holds_every_sample_once(case: tuple[int, Order], seed: int, epoch: int) -> None:
    samples, order = case
    found = numbers(order, seed, epoch)
    assert sorted(found) == list(range(samples))
    assert numbers(order, seed, epoch) == found, "and is the same each time"
    assert order.samples == samples
    assert max(np.diff(order.starts)) <= order.longest
    assert (order.starts[0], order.starts[-1]) == (0, samples)


@given(orders(), st.integers(1, 60), st.integers(1, 12), st.integers(1, 5), st.data())
@settings(max_examples=200, deadline=None)
def test_ranks_and_resumed_runs_see_one_order(
    case: tuple[int, Order], size: int, shards: int, ranks: int, data: st.DataObject
) -> None:
    """The global batches of an epoch, put together from what any number of ranks load, from any batch on."""
    samples, order = case
    everything = numbers(order, seed=5, epoch=2)
    count = batches(samples, size)
    first = data.draw(st.integers(0, count - 1), label="resumed at batch")
    loaded: list[dict[int, list[int]]] = [{} for _ in range(count)]
    for rank in range(ranks):
        loader = Loader({"x": np.arange(samples), "y": np.arange(samples)}, order=order)  # on a rank, by itself
        loader.begin(5, 2)
        x, y = np.empty(samples, int), np.empty(samples, int)
        for index in range(first, count):
            for shard, positions in micro_shards(batch(samples, size, index), shards, ranks, rank):
                loader.fill(positions, {"x": x[: positions.length], "y": y[: positions.length]})
                assert shard not in loaded[index], "one rank alone loads it"
                loaded[index][shard] = x[: positions.length].tolist()
                assert y[: positions.length].tolist() == loaded[index][shard]
    for index in range(first, count):
        joined = [n for _, shard in sorted(loaded[index].items()) for n in shard]
        assert joined == everything[slice(*batch(samples, size, index))]


def test_a_buffer_reads_whole_groups_of_chunks_in_turn() -> None:
    edges = groups(samples=1000, chunk=10, sample_bytes=1, buffer=340, target=25)
    assert np.unique(np.diff(edges)).tolist() == [20], "two chunks of 10 make at most 25 bytes"
    order = Buffered(edges, 340)
    assert order.longest == 17 * 20
    order.begin(3, 0)
    assert order.starts.tolist() == [0, 340, 680, 1000]
    room = np.empty(order.longest, np.intp)
    for block in range(3):
        found = order.numbers(block, room)
        groups_of = np.unique(found // 20)
        assert sorted(found.tolist()) == sorted(20 * g + k for g in groups_of for k in range(20)), "whole groups"
        assert len(groups_of) == (17, 17, 16)[block]
        assert np.mean(np.diff(found) == 1) < 0.05, "within a block any sample follows any other"


@pytest.mark.parametrize(
    ("chunk", "sample_bytes", "buffer", "target", "expected"),
    [
        (1, 100, 10**6, 1000, 10),  # as many small chunks as make the target
        (668, 784, 65536, 512 * 1024, 668),  # a chunk that is large enough
        (1, 1, 160, 1000, 160 // GROUPS),  # fewer where the buffer would mix too few of them
        (50, 1, 10, 10, 50),  # but a whole chunk, even beyond the buffer
    ],
)
def test_groups_of_chunks(chunk: int, sample_bytes: int, buffer: int, target: int, expected: int) -> None:
    edges = groups(10 * expected + 3, chunk, sample_bytes, buffer, target)
    assert np.diff(edges).tolist() == [expected] * 10 + [3]


def test_the_buffered_order_is_part_of_the_format() -> None:
    order = Buffered(groups(14, 3, 1, 6, 1), 6)
    assert numbers(order, 0, 0) == [9, 11, 10, 3, 4, 5, 13, 2, 0, 1, 12, 7, 6, 8]
    assert numbers(order, 7, 3) == [0, 5, 3, 1, 2, 4, 12, 10, 13, 11, 9, 8, 7, 6]
    assert order.name == "buffer of 6 over 5 groups of 3"


def test_neighbours_are_spread_over_the_epoch() -> None:
    """With a buffer a tenth as large as the file, two epochs place a sample nearly independently of each other."""
    order = Buffered(groups(20000, 20, 1, 2000, 1), 2000)
    first, second = (np.argsort(numbers(order, 0, epoch)) for epoch in range(2))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
    assert abs(np.corrcoef(first, np.arange(20000))[0, 1]) < 0.1


def test_a_run_is_shuffled_by_its_file_s_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (3000, 1000), np.uint8), np.zeros(3000, int)
    path = write_data(tmp_path / "d.h5", {"train": (x, y)}, task="classification", classes=["a", "b"])
    with DataFile(path) as file:
        assert (file.chunk("train"), file.sample_bytes("train")) == (524, 1000)
    run = assembled(alone(), data={"path": str(path), "shuffle_buffer": 1200})
    assert run.progress.order == run.loader.order.name == "buffer of 1200 over 6 groups of 524"
    loader = run.loader
    loader.begin(0, 0)
    first = loader.numbers(Range(0, 1048)).copy()
    assert len(set((first // 524).tolist())) in (2, 3)  # the short last group may be among them
    monkeypatch.setattr("distnn.session.samples.LARGEST", 250_000)  # of larger chunks, blocks aren't to hold all
    run = assembled(alone(), data={"path": str(path), "shuffle_buffer": 300})
    assert run.progress.order == "buffer of 300 over 12 groups of 250"
