"""CSV tables: what pandas reads of them, and each bad line refused with its number and column."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn.data import DataFile
from distnn.data.convert import csv
from distnn.data.convert.csv import Dialect
from distnn.data.convert.splits import Shares
from distnn.data.convert.table import Roles
from distnn.errors import DataError
from tests.support.files import contents


def csv_file(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


def converted(folder: Path, text: str, *target: str, dialect: Dialect = csv.USUAL, **columns: Any) -> Path:
    """The data file of a table, all of it in one split."""
    source = csv_file(folder / "a.csv", text)
    cutting = Shares(0, 0)
    chosen = Roles(target or ("t",), **columns)
    return csv.convert(folder / "a.h5", source, chosen, dialect=dialect, cutting=cutting, force=True)


IRIS = "width, length,kind\n" + "".join(f"{i}.5,-{i}e-1,{'rose' if i % 2 else 'lily'}\n" for i in range(20))


@pytest.mark.parametrize("text", [IRIS, IRIS.replace("\n", "\r\n"), "\ufeff" + IRIS + "\n\n", IRIS.replace(",", ";")])
def test_csv_of_classes(tmp_path: Path, text: str) -> None:
    source, dialect = csv_file(tmp_path / "a.csv", text), Dialect(";" if ";" in text else ",")
    path = csv.convert(tmp_path / "a.h5", source, Roles(("kind",)), dialect=dialect, cutting=Shares(seed=1))
    with DataFile(path) as file:
        assert (file.task, file.classes, file.x_dtype) == ("classification", ("lily", "rose"), np.float32)
        assert [file.count(split) for split in file.splits] == [16, 2, 2]
    for x, y in contents(path).values():
        np.testing.assert_array_equal(x[:, 0] % 2, y + 0.5)
        np.testing.assert_allclose(x[:, 1], (0.5 - x[:, 0]) / 10, rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["3", "10"] * 10, None, ("3", "10")),
        (["1.5", "2"] * 10, None, ()),
        (["3", "10"] * 10, "regression", ()),
        (["1.5", "2"] * 10, "classification", ("1.5", "2")),
        (["1.0", "2.0"] * 10, "classification", ("1.0", "2.0")),
        (["01", "02"] * 10, None, ("01", "02")),
        (["1", "two"] * 10, None, ("1", "two")),
        ([str(1_000 * row) for row in range(30)], None, ()),
        (["True", "False"] * 10, None, ("False", "True")),
        ([str(value) for value in range(20)], "classification", tuple(str(value) for value in range(20))),
    ],
)
def test_csv_targets(tmp_path: Path, values: list[str], task: str | None, classes: tuple[str, ...]) -> None:
    source = csv_file(tmp_path / "a.csv", "n,t\n" + "".join(f"{row},{value}\n" for row, value in enumerate(values)))
    path = csv.convert(tmp_path / "a.h5", source, Roles(("t",), task=task), cutting=Shares(0, 0.5))
    with DataFile(path) as file:
        assert file.classes == classes and file.splits == ("train", "test")
    for x, y in contents(path).values():
        for row, target in zip(x[:, 0].astype(int), y, strict=True):
            assert (classes[target] if classes else float(target)) == (values[row] if classes else float(values[row]))


NUMBERS = st.floats(-1e30, 1e30) | st.integers(-(2**53), 2**53).map(float)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=30), st.sampled_from([",", ";", "\t", " ", "|"]))
def test_numbers_are_those_of_pythons_own_reader(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, float]], mark: str
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    text = f"a{mark}t\n" + "".join(f"{a!r}{mark}{t!r}\n" for a, t in rows)
    x, y = contents(converted(folder, text, dialect=Dialect(mark), task="regression"))["train"]
    expected = {(np.float64(a).astype(x.dtype), t) for a, t in rows}
    assert set(zip(x[:, 0], y, strict=True)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty; expected a header line"),
        ("\n\n", "is empty; expected a header line"),
        ("a,b,t\n", "has a header but no line of data below it"),
        ("1,2,3\n4,5,6\n", r"line 1 holds numbers \(1, 2, 3\); expected a header line.*--no-header.*--header"),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", r"line 1 holds numbers \(5.1, 3.5, setosa\)"),
        ("a,a,t\n1,2,3\n", "line 1: the column name 'a' is used twice"),
        ("a,,t\n1,2,3\n", "line 1: the name of column 2 is empty; name it, or leave it out with --drop ''"),
        ("t\n1\n", "has only the columns t; expected a target and at least one column of features"),
        ("a,b,c\n1,2,3\n", "has no column 't'; its columns are a, b, c."),
        ("a;b;t\n1;2;3\n", "Are the fields separated by ';'\\? Then give that with --delimiter"),
        ("# of 2020\na,b,t\n1,2,3\n", "has no column 't'; its columns are # of 2020.$"),
        ("a b t\n1 2 3\n", "Are the fields separated by ' '\\?"),
        ("a,b,t\n1,2,3\n1,2\n", "line 3 has 2 fields but there are 3 columns"),
        ("a,b,t\n1,2,3\n\n1,2,3,4\n", "line 4 has 4 fields but there are 3 columns"),
        ("a,b,t\n1,2,3,4\n1,2,3,4\n", "line 2 has 4 fields but there are 3 columns"),
        ("a,b,t\n1,,3\n", r"line 2, column 'b': '': the value is missing. --missing drop.* --missing keep"),
        ("a,b,t\n1,2,3\n1, NA ,3\n", r"line 3, column 'b': 'NA': the value is missing.*--types 'b=category'"),
        ("a,b,t\n1,NaN,3\n", r"line 2, column 'b': 'NaN': the value is missing"),
        ("a,b,t\n1,?,3\n", r"line 2, column 'b': '\?': the value is missing.*--drop 'b'"),
        ("a,b,t\n1,2,\n", r"line 2, column 't': '': the value is missing"),
        ("a,b,t\n1,inf,1\n", "line 2, column 'b': 'inf' is not a finite number of float32"),
        ("a,b,t\n1,1e39,1\n", "line 2, column 'b': '1e39' is not a finite number of float32"),
        ("a,b,t\n1,1_0,1\n3,4,5\n", "line 2, column 'b': '1_0' is not a finite number of float32"),
        ('a,b,t\n"1\n2",4,1\n3,4,5\n', "line 3, column 'a'"),
        ("a,b,t\n1,2,1\n1,red,1\n", "line 3, column 'b': 'red' is not a finite number of float32.* 'b=category'"),
        ('a,b,t\n1,"2,5",1\n2,3,4\n', "line 2, column 'b': '2,5' is not a finite number.*--decimal ','"),
        ('a,b,t\n1,"2,1\n', "line 2: not CSV"),
        ("a,b,t\n1,2,1e39\n1,2,1.5\n", "line 2, column 't': '1e39' is not a finite number"),
        ("a,t\n1,x\n2,x\n", "column 't' holds the same value, 'x', in all 2 lines; expected at least two classes"),
        (
            "a,t\n" + "".join(f"1,{i}\n" for i in range(9)),
            "holds 9 different integers in 9 samples, which may be classes",
        ),
        (
            "a,t\n" + "".join(f"1,{i}\n" for i in range(1001)) * 2,
            "holds 1001 different integers in 2002 samples, which may be classes",
        ),
        ("a,t\n" + "1,1.0\n2,2.0\n" * 5, "holds 2 different whole numbers written as floats, such as 1.0, in 10"),
    ],
)
def test_a_bad_csv_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    source = csv_file(tmp_path / "a.csv", text)
    with pytest.raises(DataError, match=expected) as caught:
        csv.convert(tmp_path / "a.h5", source, Roles(("t",)))
    assert str(source) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "a.h5").exists()


@pytest.mark.parametrize(
    ("columns", "dialect", "cutting", "expected"),
    [
        ({"target": ("kinds",)}, {}, {}, r"no column 'kinds' \(did you mean 'kind'\?\); its columns are width, length"),
        ({"drop": ("widht",)}, {}, {}, r"no column 'widht' \(did you mean 'width'\?\)"),
        ({"group": "Kind"}, {}, {}, r"no column 'Kind' \(did you mean 'kind'\?\)"),
        ({"types": {"lenght": "number"}}, {}, {}, r"no column 'lenght' \(did you mean 'length'\?\)"),
        ({"types": {"length": "numbr"}}, {}, {}, r"can't be a numbr \(did you mean 'number'\?\); expected category"),
        ({"types": {"kind": "number"}}, {}, {}, "column 'kind' is a target; --task regression says"),
        ({"drop": ("kind",)}, {}, {}, "column 'kind' is named for two purposes"),
        ({"target": ("kind,kind",)}, {}, {}, "column 'kind' is named for two purposes"),
        ({"target": ("kind,width,length",)}, {}, {}, "has only the columns width, length, kind"),
        ({"target": ("width,kind",)}, {}, {}, "line 2, column 'kind': 'lily' is not a finite number"),
        ({"target": ("width,length",), "task": "classification"}, {}, {}, "the targets width, length can't be classes"),
        ({"task": "regression"}, {}, {}, "line 2, column 'kind': 'lily' is not a finite number"),
        ({}, {}, {"test": 0.9, "validation": 0.1}, "leaves none of the 20 samples to train on"),
        ({}, {"delimiter": ";;"}, {}, "the delimiter is ';;'; expected one character"),
    ],
)
def test_csv_errors_of_the_call(tmp_path: Path, columns: dict, dialect: dict, cutting: dict, expected: str) -> None:
    source = csv_file(tmp_path / "a.csv", IRIS)
    chosen = Roles(**({"target": ("kind",)} | columns))
    with pytest.raises(DataError, match=expected):
        csv.convert(tmp_path / "a.h5", source, chosen, dialect=Dialect(**dialect), cutting=Shares(**cutting))


def test_files_that_are_no_csv_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no CSV file .*none\.csv"):
        csv.convert(tmp_path / "a.h5", tmp_path / "none.csv", Roles(("kind",)))
    source = csv_file(tmp_path / "a.csv", IRIS + "1,2,Röschen\n", "latin-1")
    for content in (
        source.read_bytes(),
        b"a,t\n" + b"1,2\n" * 100_000 + b"\xff,2\n",
        gzip.compress(b"a,t\n1,2\n")[:-4],
    ):
        source.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.csv (is not a text in UTF-8|can't be read)"):
            csv.convert(tmp_path / "a.h5", source, Roles(("t",) if content[:1] != b"w" else ("kind",)))


def test_a_table_without_a_header(tmp_path: Path) -> None:
    text = "5.1,3.5,setosa\n4.9,3.0,iris\n"
    path = converted(tmp_path, text, "3", dialect=Dialect(header=False))
    x, y = contents(path)["train"]
    assert sorted(zip(x[:, 0].tolist(), y.tolist(), strict=True)) == [(np.float32(4.9), 0), (np.float32(5.1), 1)]
    with pytest.raises(DataError, match="line 1, column '3': 'setosa' is not a finite"):
        converted(tmp_path, text, "1", dialect=Dialect(header=False), types={"3": "number"}, task="regression")


@pytest.mark.parametrize("header", ["0,1,2,t", "1,2,3,t", "2019,2020,x,t"])
def test_names_that_are_numbers(tmp_path: Path, header: str) -> None:
    """Numbers in order name columns, as pandas writes them; others may be a sample's, unless one says so."""
    text = f"{header}\n1,2,3,no\n4,5,6,yes\n"
    if header.startswith("2019"):
        with pytest.raises(DataError, match="line 1 holds numbers"):
            converted(tmp_path, text)
    x, _ = contents(converted(tmp_path, text, dialect=Dialect(header=True if "2019" in header else None)))["train"]
    assert sorted(x[:, 0]) == [1, 4]


def test_tables_of_spreadsheets_of_other_countries(tmp_path: Path) -> None:
    text = "\ufeffa;b;t\r\n1,5;ä;x\r\n-2;ö;y\r\n"
    with pytest.raises(DataError, match=r"column 'a'.*--decimal ','"):
        converted(tmp_path, text, dialect=Dialect(";"))
    x, _ = contents(converted(tmp_path, text, dialect=Dialect(";", ",")))["train"]
    assert sorted(map(tuple, x.tolist())) == [(-2, 0, 1), (1.5, 1, 0)]


def test_trailing_delimiters_and_packed_files(tmp_path: Path) -> None:
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(b"a,b,t\n1,2,x,\n3,4,y,\n"))
    x, _ = contents(csv.convert(tmp_path / "a.h5", packed, Roles(("t",)), cutting=Shares(0, 0)))["train"]
    assert sorted(map(tuple, x.tolist())) == [(1, 2), (3, 4)]


def test_all_that_pandas_writes_is_read(tmp_path: Path) -> None:
    """Quotes, line breaks, blanks, unusual letters: names and words come back as they were."""
    names = ['a "b"', "c,d", "e\nf", "ä=ö", "t"]
    frame = pd.DataFrame([[f"{word} {name}" for name in names] for word in ("x\ny", "é,", '"q"')] * 3, columns=names)
    path = converted(tmp_path, frame.to_csv(index=False))
    with DataFile(path) as file:
        assert file.classes == tuple(sorted(frame["t"].unique()))
        assert file.sample_shape == (12,)
