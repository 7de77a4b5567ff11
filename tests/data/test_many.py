"""Rows across many files: the right ones, with a bounded number of files open."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn.data.file.many import Across, OpenFiles
from distnn.errors import DataError

OPEN: list[int] = []


class Part:
    """A file of some rows, which are numbered on from ``first``, and a note of whether it is open."""

    chunks = None
    dtype = np.dtype(np.int64)

    def __init__(self, number: int, first: int, rows: int) -> None:
        self.number, self.shape, self._first, self.path = number, (rows, 2), first, Path(str(number))
        OPEN.append(number)

    def rows(self, split: str) -> dict[str, Part]:
        assert split == "train"
        return {"x": self}

    def read_direct(self, target: np.ndarray, where: slice) -> None:
        assert self.number in OPEN and 0 <= where.start < where.stop <= self.shape[0]
        target[...] = np.arange(self._first + where.start, self._first + where.stop)[:, None]

    def close(self) -> None:
        OPEN.remove(self.number)


def across(lengths: list[int], most: int) -> Across:
    OPEN.clear()
    starts = np.concatenate([[0], np.cumsum(lengths)])

    def opened(path: Path) -> Part:
        number = int(path.name)
        return Part(number, int(starts[number]), lengths[number])

    files = OpenFiles([Path(str(k)) for k in range(len(lengths))], opened, most)
    return Across(files, np.arange(len(lengths)), np.array(lengths), "train", "x", Part(-1, 0, 1))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(1, 4), st.data())
def test_they_follow_each_other(lengths: list[int], most: int, data: st.DataObject) -> None:
    rows = across(lengths, most)
    OPEN.remove(-1)
    assert rows.shape == (sum(lengths), 2)
    for _ in range(3):
        start = data.draw(st.integers(0, sum(lengths)))
        stop = data.draw(st.integers(start, sum(lengths)))
        target = np.full((stop - start, 2), -1)
        rows.read_direct(target, slice(start, stop))
        np.testing.assert_array_equal(target, np.arange(start, stop)[:, None].repeat(2, 1))
        assert len(OPEN) <= most
    for row in range(sum(lengths)):
        path, split, inside = rows.origin(row)
        assert (int(path.name), split) == (np.repeat(np.arange(len(lengths)), lengths)[row], "train")
        assert rows.starts[int(path.name)] + inside == row
    rows.files.close()
    assert not OPEN


def test_those_read_last_stay_open() -> None:
    rows = across([1] * 5, 2)
    for row in (0, 1, 0, 2, 0, 3):
        rows.read_direct(np.empty((1, 2), int), slice(row, row + 1))
    assert sorted(OPEN) == [-1, 0, 3]


def test_threads_share_them() -> None:
    rows = across([3] * 20, 2)

    def read(row: int) -> int:
        target = np.empty((1, 2), int)
        rows.read_direct(target, slice(row, row + 1))
        return int(target[0, 0])

    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(read, range(60))] == [*range(60)]


def test_a_file_that_has_changed_is_refused() -> None:
    rows = across([3, 3], 2)
    rows.files._opened = lambda path: Part(1, 0, 4)
    with pytest.raises(DataError, match=r"1 has changed .* train/x now has the shape \(4, 2\), and had \(3, 2\)"):
        rows.read_direct(np.empty((1, 2), int), slice(4, 5))
