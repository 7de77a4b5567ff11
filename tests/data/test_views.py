"""Views of rows: each slice of each is that of the whole array, as numpy makes it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn.data.file.rows import Rows
from distnn.data.file.stored import Stored, Witness
from distnn.data.file.views import LAYOUTS, Beside, TableColumns, Turned, as_column, common, loses, picked
from distnn.errors import DataError


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with h5py.File(tmp_path_factory.mktemp("views") / "a.h5", "w") as file:
        yield file


def stored(file: Any, values: Any, axis: int = 0, **options: Any) -> Stored:
    if "x" in file:
        del file["x"]
    dataset = file.create_dataset("x", data=values, **options)
    return Stored(Path(file.filename), dataset, Witness(Path(file.filename)), axis=axis)


def same(rows: Rows, expected: np.ndarray) -> None:
    """Every slice of the rows."""
    assert (rows.shape, rows.dtype) == (expected.shape, expected.dtype)
    for start in range(len(expected) + 1):
        for stop in range(start, len(expected) + 1):
            target = np.empty((stop - start, *rows.shape[1:]), rows.dtype)
            rows.read_direct(target, slice(start, stop))
            np.testing.assert_array_equal(target, expected[start:stop])


#: What numpy calls the same.
TURNS = {
    "channels_first": lambda values: np.moveaxis(values, 1, -1),
    "samples_last": lambda values: np.moveaxis(values, -1, 0),
    "reversed": lambda values: values.T,
    "reversed_samples": lambda values: np.moveaxis(values.T, -1, 0),
}


@given(
    layout=st.sampled_from(sorted(LAYOUTS)),
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    chunks=st.booleans(),
    dtype=st.sampled_from(["<f4", ">i2"]),
)
def test_layouts(scratch: Any, layout: str, shape: list[int], chunks: bool, dtype: str) -> None:
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    axes = LAYOUTS[layout](len(shape))
    options = {"chunks": tuple(-(-side // 2) for side in shape), "compression": "gzip"} if chunks else {}
    rows = Turned(stored(scratch, values, axes[0], **options), axes)
    same(rows, TURNS[layout](values).astype(values.dtype.newbyteorder("=")))
    if chunks:
        assert rows.chunks == TURNS[layout](np.empty(options["chunks"])).shape


@given(st.lists(st.integers(0, 4), min_size=1, max_size=7), st.integers(0, 2))
def test_channels(scratch: Any, channels: list[int], inner: int) -> None:
    values = np.arange(3 * 2**inner * 5).reshape(3, *[2] * inner, 5)
    same(picked(stored(scratch, values), channels), values[..., channels])


TABLE = np.array(
    [(1, 2.5, [7, 8], b"a"), (2, -1, [9, 10], b"b"), (3, 0, [11, 12], b"c")],
    [("count", "i4"), ("price", ">f4"), ("block", "i8", 2), ("name", "S3")],
)


def test_columns_of_a_table(scratch: Any) -> None:
    table = stored(scratch, TABLE, chunks=(2,), compression="gzip")
    columns = {"b": ("block", (1,)), "count": ("count", ()), "a": ("block", (0,))}
    rows = TableColumns(table, columns)
    same(rows, np.stack([TABLE["block"][:, 1], TABLE["count"], TABLE["block"][:, 0]], axis=1))
    assert rows.names == ("b", "count", "a")
    same(TableColumns(table, {"price": ("price", ())}), TABLE["price"][:, None].astype("f4"))


def test_rows_beside_each_other(scratch: Any) -> None:
    a, b = np.arange(6, dtype="u1").reshape(3, 2), np.arange(3) / 4
    rows = Beside([stored(scratch, a), as_column(stored(scratch, b), "b")])
    same(rows, np.column_stack([a, b]))
    assert rows.names == ()  # those of a aren't known
    both = Beside([as_column(stored(scratch, b), name) for name in "pq"])
    assert both.names == ("p", "q")
    same(both, np.column_stack([b, b]))


@pytest.mark.parametrize(
    ("types", "expected", "lossy"),
    [
        (["u1", "i1"], "i2", False),
        (["f4", "u2"], "f4", False),
        (["f4", "i4"], "f8", False),
        (["f8", "i8"], "f8", True),
        (["u8", "i8"], "f8", True),
        (["u8", "u1"], "u8", False),
        (["?", "f4"], "f4", False),
        (["?", "?"], "?", False),
    ],
)
def test_the_type_that_holds_all(types: list[str], expected: str, lossy: bool) -> None:
    dtypes = [np.dtype(each) for each in types]
    assert (common(dtypes), loses(dtypes)) == (np.dtype(expected), lossy)


def test_a_short_chunk_is_found_along_the_last_axis(scratch: Any) -> None:
    """Where the samples are the columns, only the chunks of those that are read are checked."""
    values = np.arange(40, dtype="f4").reshape(4, 10)
    scratch.create_dataset("bad", data=values, chunks=(2, 5), compression="gzip")
    dataset = scratch["bad"]
    dataset.id.write_direct_chunk((2, 5), zlib.compress(bytes(12)))
    rows = Turned(Stored(Path(scratch.filename), dataset, Witness(Path(scratch.filename)), axis=1), (1, 0))
    target = np.empty((5, 4), "f4")
    rows.read_direct(target, slice(0, 5))
    np.testing.assert_array_equal(target, values.T[:5])
    with pytest.raises(DataError, match=r"with the samples 5\.\.10 holds 12 bytes"):
        rows.read_direct(target, slice(2, 7))
