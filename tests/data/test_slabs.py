"""Chunks of any shape, which are unpacked once in a pass over their rows."""

from __future__ import annotations

import gc
import weakref
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn import runtime
from distnn.data import DataFile
from distnn.data.file import slabs
from distnn.data.file.stored import Stored, Witness
from distnn.data.stream import slabs_of
from distnn.errors import DataError
from distnn.parallel.communicator import Communicator
from distnn.session.samples import _load, unpacking

FILTERS: dict[str, dict[str, Any]] = {
    "gzip": {"compression": "gzip"},
    "gzip of shuffled": {"compression": "gzip", "shuffle": True},
    "gzip with checksum": {"compression": "gzip", "fletcher32": True},
    "lzf": {"compression": "lzf"},
    "checksum": {"fletcher32": True},
}
#: One chunk, chunks of columns, of rows, and of both.
SHAPES = {"one": (60, 50), "columns": (60, 7), "rows": (8, 50), "both": (25, 30)}
X = np.random.default_rng(0).integers(0, 40, (60, 50), np.uint16)


def data_file(path: Path, x: Any = X, chunks: tuple[int, ...] = (60, 50), **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["task"] = "regression"
        file.create_dataset("train/x", data=x, chunks=chunks, **options)
        file["train/y"] = np.zeros((len(x), 1))
    return path


class Counted:
    """How often each chunk is unpacked: by zlib here, or by HDF5."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ours, self.hdf5 = 0, 0
        chunk, rows = slabs.Slabs._unpack, Stored.read_rows

        def counted_chunk(*args: Any) -> Any:
            self.ours += 1
            return chunk(*args)

        def counted_rows(stored: Any, *args: Any) -> Any:
            self.hdf5 += stored.slabs is not None
            return rows(stored, *args)

        monkeypatch.setattr(slabs.Slabs, "_unpack", counted_chunk)
        monkeypatch.setattr(Stored, "read_rows", counted_rows)


@st.composite
def arrays(draw: st.DrawFn) -> tuple[Any, tuple[int, ...], dict[str, Any], int]:
    """Values of any type, in chunks of any shape, through any filters, and which axis counts the rows."""
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)))
    dtype = np.dtype(draw(st.sampled_from(["u1", "<i2", ">i4", "<f8", ">f4", "f2", "?"])))
    chunks = tuple(draw(st.integers(1, length)) for length in shape)
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 2 if dtype.kind == "b" else 100, shape)
    options = FILTERS[draw(st.sampled_from(list(FILTERS)))]
    return values.astype(dtype), chunks, options, draw(st.sampled_from([0, len(shape) - 1]))


@given(arrays(), st.data())
def test_any_rows_of_any_chunks(tmp_path_factory: pytest.TempPathFactory, drawn: Any, data: st.DataObject) -> None:
    values, chunks, options, axis = drawn
    path = tmp_path_factory.getbasetemp() / "any.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=values, chunks=chunks, **options)
    rows = values.shape[axis]
    with h5py.File(path) as file:
        stored = Stored(path, file["x"], Witness(path), axis=axis)
        for _ in range(4):
            start = data.draw(st.integers(0, rows))
            stop = data.draw(st.integers(start, rows))
            expected = values.take(range(start, stop), axis)
            found = np.empty(expected.shape, values.dtype.newbyteorder("="))
            stored.read_direct(found, slice(start, stop))
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_pass_unpacks_each_chunk_once(
    filters: str, shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = SHAPES[shape]
    counted = Counted(monkeypatch)
    with DataFile(data_file(tmp_path / "a.h5", chunks=chunks, **FILTERS[filters])) as file:
        found = [file.read("train", start, stop)[0] for start, stop in pairwise(range(0, 61, 4))]
        slab = file.rows("train")["x"].slabs  # type: ignore[attr-defined]
    np.testing.assert_array_equal(np.concatenate(found), X)
    number = -(-60 // chunks[0]) * -(-50 // chunks[1])
    assert counted.ours == (number if filters.startswith("gzip") else 0)
    assert counted.hdf5 == (0 if counted.ours else -(-60 // chunks[0]))
    assert not slab._kept, "what was read to its end is let go"


def test_what_is_kept_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the bytes of all slabs, of which the last may alone have more, but not any number."""
    path = data_file(tmp_path / "a.h5", chunks=(8, 50), compression="gzip")
    monkeypatch.setattr(slabs, "KEPT", 2 * 800)
    with DataFile(path) as file:
        slab: Any = file.rows("train")["x"].slabs  # type: ignore[attr-defined]
        for start in (0, 8, 16, 0, 24, 32):
            file.read("train", start, start + 3)
        assert [number for number, _ in slab._kept] == [3, 4]
        monkeypatch.setattr(slabs, "KEPT", 10)
        file.read("train", 40, 41)
        assert [number for number, _ in slab._kept] == [5]
        monkeypatch.setattr(slabs, "LARGEST", 799)
        np.testing.assert_array_equal(file.read("train", 50, 52)[0], X[50:52])
        assert [number for number, _ in slab._kept] == [5]
        kept = weakref.ref(next(iter(slab._kept.values())))
    gc.disable()
    try:
        del file, slab
        assert kept() is None, "nothing holds it in a circle"
    finally:
        gc.enable()


def test_columns_of_a_table_are_not_taken_for_others(tmp_path: Path) -> None:
    """Of one size, read from one dataset in turn."""
    table = np.zeros(30, [("a", "i4"), ("b", "i4")])
    table["a"], table["b"] = range(30), range(100, 130)
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file.create_dataset("t", data=table, chunks=(30,), compression="gzip")
    with h5py.File(tmp_path / "t.h5") as file:
        stored = Stored(tmp_path / "t.h5", file["t"], Witness(tmp_path / "t.h5"))
        for start in range(0, 30, 10):
            for name in "ab":
                found = np.empty(10, [(name, "i4")])
                stored.read_direct(found, slice(start, start + 10))
                np.testing.assert_array_equal(found[name], table[name][start : start + 10])


def test_it_is_counted_where_memory_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with DataFile(data_file(tmp_path / "plain.h5")) as file:
        assert unpacking(file) == 0
    with DataFile(data_file(tmp_path / "columns.h5", chunks=(60, 7), compression="gzip")) as file:
        (slab,) = slabs_of(file, "train")
        assert (slab.nbytes, slab.chunk_bytes, slab.at_a_time) == (60 * 50 * 2, 60 * 7 * 2, runtime.cores())
        assert unpacking(file) == 2 * slab.at_a_time * slab.chunk_bytes + slab.nbytes


class Rank(Communicator):
    """One of several on a node, which alone takes part."""

    def __init__(self, rank: int, size: int) -> None:
        super().__init__()
        self.rank, self.size = rank, size  # type: ignore[misc]

    def allgather(self, value: Any) -> list[Any]:
        return [value]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ranks", [1, 3])
def test_no_chunk_is_unpacked_by_two_ranks(
    shape: str, ranks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = SHAPES[shape]
    arrays = {"x": np.zeros_like(X), "y": np.empty((60, 1))}
    counted = Counted(monkeypatch)
    for rank in range(ranks):
        with DataFile(data_file(tmp_path / "a.h5", chunks=chunks, compression="gzip")) as file:
            _load(file, arrays, Communicator(), Rank(rank, ranks))
    np.testing.assert_array_equal(arrays["x"], X)
    assert counted.ours == -(-60 // chunks[0]) * -(-50 // chunks[1])


@pytest.mark.parametrize("shape", SHAPES)
def test_no_flipped_bit_goes_unseen(shape: str, tmp_path: Path) -> None:
    """Deflated bytes have a checksum at their end, which is looked at."""
    path = data_file(tmp_path / "a.h5", chunks=SHAPES[shape], compression="gzip")
    with h5py.File(path) as file:
        whole = file["train/x"].id.read_direct_chunk((0, 0))[1]
    for place in [*range(2, len(whole), max(1, len(whole) // 20)), *range(len(whole) - 4, len(whole))]:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        with h5py.File(path, "r+") as file:
            file["train/x"].id.write_direct_chunk((0, 0), bytes(damaged))
        with DataFile(path) as opened, pytest.raises(DataError, match=r"a\.h5"):
            opened.read("train")


def test_what_zlib_refuses_hdf5_explains(tmp_path: Path) -> None:
    path = data_file(tmp_path / "a.h5", chunks=(30, 50), compression="gzip")
    with h5py.File(path, "r+") as file:
        file["train/x"].id.write_direct_chunk((30, 0), b"no zlib at all")
    with DataFile(path) as opened:
        np.testing.assert_array_equal(opened.read("train", 0, 30)[0], X[:30])
        with pytest.raises(DataError, match=r"a\.h5.*samples 0\.\.60"):
            opened.read("train")
