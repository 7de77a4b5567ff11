"""Every slice of the vectors has one owner on each node, whatever the nodes are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from distnn.parallel.reduction.slices import Slices


@st.composite
def nodes(draw: st.DrawFn) -> list[list[int]]:
    """Some ranks on some nodes, in any order."""
    places = draw(st.lists(st.integers(0, 5), min_size=1, max_size=40))
    return [found for node in range(6) if (found := [rank for rank, place in enumerate(places) if place == node])]


@given(nodes(), st.integers(0, 3000), st.sampled_from([16, 1024]))
def test_each_node_owns_the_whole_vector_once(nodes: list[list[int]], length: int, align: int) -> None:
    slices = Slices(length, align, nodes)
    for ranks in nodes:
        parts = [slices.extent(slices.of(rank)) for rank in ranks]
        assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
        assert parts[-1].stop == length
        assert all(part.start % align == 0 or part.start == length for part in parts)


@given(nodes())
def test_the_owners_of_a_slice_own_it_and_every_rank_owns_some(nodes: list[list[int]]) -> None:
    slices = Slices(1000, 16, nodes)
    owned = {rank: [k for k in range(slices.count) if rank in slices.owners(k)] for ranks in nodes for rank in ranks}
    assert owned == {rank: list(slices.of(rank)) for rank in owned}
    assert all(owned.values())
    for number in range(slices.count):
        assert [owner in ranks for owner, ranks in zip(slices.owners(number), nodes, strict=True)] == [True] * len(
            nodes
        )
