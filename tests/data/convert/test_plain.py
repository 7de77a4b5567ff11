"""Tables and arrays to predict for: the right columns, or a refusal."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas
import pyarrow
import pytest
from pyarrow import parquet

from distnn.data.convert import parquet as parquets
from distnn.data.convert.npz import USUAL, read_npz
from distnn.data.convert.plain import Trained, convert
from distnn.data.convert.table import Roles
from distnn.errors import DataError

TRAINED = Trained(("a", "b"), ("y",), (2,), "float32", "regression")


def converted(path: Path, trained: Trained = TRAINED) -> dict[str, Any]:
    convert(path, path.with_suffix(".h5"), "test", trained)
    with h5py.File(path.with_suffix(".h5")) as file:
        return {name: file["test"][name][...].tolist() for name in file["test"]}


@pytest.mark.parametrize(
    ("text", "x"),
    [
        ("y,b,a\n9,2,1\n8,4,3\n", [[1, 2], [3, 4]]),
        ("b,more,a\n2,7,1\n4,7,3\n", [[1, 2], [3, 4]]),
        ("a;b\n1;2\n3;4\n", [[1, 2], [3, 4]]),
    ],
)
def test_columns_are_found_by_their_names(text: str, x: list[list[float]], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    assert converted(path)["x"] == x


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,2,3\n4,5,6\n", "more fields than columns"),
        ("a,b\n1,2,\n3,4,\n", "more fields than columns"),
        ("a,b\n1,2\n4,5,6\n", "Expected 2 fields"),
        ("a,b,a\n1,2,3\n", "'a' is used twice"),
        ("a,b,a \n1,2,3\n", "'a' is used twice"),
        ("a,c\n1,2\n", "no column 'b'"),
    ],
)
def test_tables_that_are_refused(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=expected):
        converted(path)


@pytest.mark.parametrize(
    "notes", ['{"index_columns": 3.7}', '{"index_columns": ["b", {}, null]}', '{"columns": [{"name": []}]}', "[1]"]
)
def test_notes_of_pandas_in_a_parquet_table_may_be_wrong(notes: str, tmp_path: Path) -> None:
    table = pyarrow.table({"a": [1, 2], "b": [3, 4], "c": [[1], [2]]}).replace_schema_metadata({"pandas": notes})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert converted(tmp_path / "a.parquet")["x"] == [[1, 3], [2, 4]]
    columns = Roles(("b",), drop=("c",), task="regression")
    assert list(parquets.read(tmp_path / "a.parquet", columns, str)[0]) == ["a", "b"]


def test_a_parquet_table_with_an_index(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"a": [1, 2], "b": [3, 4]}, index=pandas.Index([7, 8], name="patient"))
    frame.to_parquet(tmp_path / "a.parquet")
    assert converted(tmp_path / "a.parquet", Trained((), (), (2,), "float32", "regression"))["x"] == [[1, 3], [2, 4]]


def test_marks_of_missing_values_are_words_where_they_were_in_training(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("c,b\nNA,1\nDE,2\n?,\n")
    trained = Trained(("c=NA", "c=DE", "c=(missing)", "b"), (), (4,), "float32", "regression")
    np.testing.assert_array_equal(converted(path, trained)["x"], [[1, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, np.nan]])


def test_classes_as_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((2, 2)), y=np.array(["cat", "dog"]))
    assert converted(path)["y"] == [b"cat", b"dog"]


@pytest.mark.parametrize(
    "x", [np.array(["a"]), np.zeros(2, "M8[s]"), np.zeros(2, "i4,f4"), np.float64(1), np.array([{}])]
)
def test_samples_that_are_no_numbers(x: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=x)
    with pytest.raises(DataError, match="expected numbers|Object arrays"):
        converted(path)


@pytest.mark.parametrize("shape", [(10**14,), (10**30,), (2**32, 2**32), (-3, 2), None])
def test_hostile_archives(shape: tuple[int, ...] | None, tmp_path: Path) -> None:
    path, content = tmp_path / "a.npz", io.BytesIO()
    if shape is None:
        content.write(b"\x93NUMPY\x01\x00\x10\x00{__import__('os')")
    else:
        np.lib.format.write_array_header_1_0(content, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("x.npy", "y.npy"):
            archive.writestr(name, content.getvalue() + bytes(16))
    for read in (lambda: converted(path), lambda: read_npz(path, USUAL, str)):
        with pytest.raises(DataError, match="can't be read as a numpy archive"):
            read()
