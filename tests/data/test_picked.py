"""Rows picked by their numbers: the right ones, each chunk read once, and no long way between them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn.data.file import picked
from distnn.data.file.picked import Picked


class Numbers:
    """Rows that hold their own numbers, and note what is read of them."""

    def __init__(self, rows: int, width: int, chunk: int | None) -> None:
        self.shape, self.dtype = (rows, width), np.dtype(np.int64)
        self.chunks = None if chunk is None else (chunk, width)
        self.reads: list[slice] = []

    def read_direct(self, target: np.ndarray, where: slice) -> None:
        self.reads.append(where)
        assert 0 <= where.start < where.stop <= self.shape[0] and target.flags.c_contiguous
        target[...] = np.arange(where.start, where.stop)[:, None]


@given(st.data(), st.sampled_from([None, 1, 4, 7, 100]), st.sampled_from([1, 2000]))
def test_they_are_those_with_the_numbers(data: st.DataObject, chunk: int | None, width: int) -> None:
    numbers = np.array(sorted(data.draw(st.sets(st.integers(0, 99)))), int)
    rows = Numbers(100, width, chunk)
    view = Picked(rows, numbers)
    assert view.shape == (len(numbers), width) and (view.chunks is None) == (chunk is None)
    start = data.draw(st.integers(0, len(numbers)))
    stop = data.draw(st.integers(start, len(numbers)))
    target = np.full((stop - start, width), -1)
    view.read_direct(target, slice(start, stop))
    np.testing.assert_array_equal(target, np.repeat(numbers[start:stop, None], width, 1))
    assert all(before.stop <= after.start for before, after in pairwise(rows.reads))
    if chunk:  # none is read twice
        chunks = [range(each.start // chunk, -(-each.stop // chunk)) for each in rows.reads]
        assert all(before.stop <= after.start for before, after in pairwise(chunks))


def test_what_is_far_from_all_that_is_wanted_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def reads(chunk: int | None, numbers: list[int]) -> list[tuple[int, int]]:
        rows = Numbers(100_000, 8, chunk)
        Picked(rows, np.array(numbers)).read_direct(np.empty((len(numbers), 8), int), slice(0, len(numbers)))
        return [(each.start, each.stop) for each in rows.reads]

    assert reads(None, [0, 1, 50, 90_000]) == [(0, 51), (90_000, 90_001)]
    assert reads(1000, [0, 1, 1500, 3500]) == [(0, 1501), (3500, 3501)]
    monkeypatch.setattr(picked, "PIECE_BYTES", 64 * 200)  # many rows are read in pieces of whole chunks
    assert reads(100, [*range(0, 400, 2)]) == [(0, 199), (200, 399)]
