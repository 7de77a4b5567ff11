"""Who owns which sample: index arithmetic against lists that are cut by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from distnn.data.partition import Range, batch, batches, micro_shards, part

lengths = st.integers(0, 200)
counts = st.integers(1, 40)


def dealt(length: int, parts: int) -> list[list[int]]:
    """Positions dealt out in order, one more to each of the first parts while some are left over."""
    sizes = [0] * parts
    for k in range(length):
        sizes[k % parts] += 1
    positions = iter(range(length))
    return [[next(positions) for _ in range(size)] for size in sizes]


def positions(pieces: list[Range]) -> list[list[int]]:
    return [list(range(piece.start, piece.stop)) for piece in pieces]


@given(lengths, counts)
def test_parts_are_contiguous_even_and_complete(length: int, parts: int) -> None:
    pieces = [part(length, parts, k) for k in range(parts)]
    assert positions(pieces) == dealt(length, parts)
    assert [piece.length for piece in pieces] == [len(found) for found in dealt(length, parts)]
    assert max(piece.length for piece in pieces) - min(piece.length for piece in pieces) <= 1


@given(st.integers(1, 200), st.integers(1, 250))
def test_batches_cut_an_epoch_into_whole_ones_and_a_rest(samples: int, size: int) -> None:
    everything = list(range(samples))
    expected = [everything[start : start + size] for start in range(0, samples, size)]
    assert batches(samples, size) == len(expected)
    assert positions([batch(samples, size, k) for k in range(batches(samples, size))]) == expected


@given(st.integers(1, 100), st.integers(0, 50), counts, st.integers(1, 12))
def test_the_ranks_micro_shards_are_those_of_one_rank(length: int, start: int, shards: int, ranks: int) -> None:
    window = Range(start, start + length)
    held = [list(micro_shards(window, shards, ranks, rank)) for rank in range(ranks)]
    together = [shard for mine in held for shard in mine]
    assert together == list(micro_shards(window, shards, 1, 0)), "the same pieces, and in the same order"
    expected = [(number, cut) for number, cut in enumerate(dealt(length, shards)) if cut]
    assert [(number, [p - start for p in range(*piece)]) for number, piece in together] == expected
    owned = dealt(shards, ranks)
    assert all(number in owned[rank] for rank, mine in enumerate(held) for number, _ in mine)


@given(st.integers(1, 60), st.data(), st.integers(1, 12))
def test_a_smaller_batch_cut_like_a_whole_one_keeps_every_place_in_its_shard(
    whole: int, data: st.DataObject, shards: int
) -> None:
    length = data.draw(st.integers(1, whole))
    owner = {p: shard for shard, piece in micro_shards(Range(0, whole), shards, 1, 0) for p in range(*piece)}
    found = [
        (p - 7, shard)
        for shard, piece in micro_shards(Range(7, 7 + length), shards, 1, 0, whole)
        for p in range(*piece)
    ]
    assert found == [(p, owner[p]) for p in range(length)]


def test_an_example_that_one_can_check_by_eye() -> None:
    assert [part(10, 4, k) for k in range(4)] == [(0, 3), (3, 6), (6, 8), (8, 10)]
    assert [part(2, 4, k).length for k in range(4)] == [1, 1, 0, 0]
    assert [batch(10, 4, k) for k in range(3)] == [(0, 4), (4, 8), (8, 10)]
    window = batch(1297, 64, 20)
    assert window == (1280, 1297)
    shards = [[(s, *piece) for s, piece in micro_shards(window, 5, 2, rank)] for rank in range(2)]
    assert shards == [[(0, 1280, 1284), (1, 1284, 1288), (2, 1288, 1291)], [(3, 1291, 1294), (4, 1294, 1297)]]
