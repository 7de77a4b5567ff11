"""CSV tables: classes and quantities, and each bad line refused with its number and column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distnn.data import DataFile
from distnn.data.convert import csv
from distnn.errors import DataError
from tests.support.files import contents


def csv_file(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


IRIS = "width, length,kind\n" + "".join(f"{i}.5,-{i}e-1,{'rose' if i % 2 else 'lily'}\n" for i in range(20))


@pytest.mark.parametrize("text", [IRIS, IRIS.replace("\n", "\r\n"), "\ufeff" + IRIS + "\n\n", IRIS.replace(",", ";")])
def test_csv_of_classes(tmp_path: Path, text: str) -> None:
    source = csv_file(tmp_path / "a.csv", text)
    path = csv.convert(tmp_path / "a.h5", source, target="kind", delimiter=";" if ";" in text else ",", seed=1)
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
        (["1", "two"] * 10, None, ("1", "two")),
        ([str(value) for value in range(20)], "classification", tuple(str(value) for value in range(20))),
    ],
)
def test_csv_targets(tmp_path: Path, values: list[str], task: str | None, classes: tuple[str, ...]) -> None:
    source = csv_file(tmp_path / "a.csv", "n,t\n" + "".join(f"{row},{value}\n" for row, value in enumerate(values)))
    path = csv.convert(tmp_path / "a.h5", source, target="t", task=task, validation=0, test=0.5)
    with DataFile(path) as file:
        assert file.classes == classes and file.splits == ("train", "test")
    for x, y in contents(path).values():
        for row, target in zip(x[:, 0].astype(int), y, strict=True):
            assert (classes[target] if classes else float(target)) == (values[row] if classes else float(values[row]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty; expected a header line"),
        ("\n\n", "is empty; expected a header line"),
        ("a,b,t\n", "has a header but no line of data below it"),
        ("1,2,3\n4,5,6\n", r"line 1 holds numbers \(1, 2, 3, …\); expected a header line"),
        ("a,a,t\n1,2,3\n", "line 1: the column name 'a' is empty or used twice"),
        ("a,,t\n1,2,3\n", "line 1: the column name '' is empty or used twice"),
        ("t\n1\n", "has only the target column 't'"),
        ("a,b,c\n1,2,3\n", "has no column 't'; its columns are a, b, c."),
        ("a;b;t\n1;2;3\n", "Are the fields separated by ';'\\? Then give that with --delimiter"),
        ("a,b,t\n1,2,3\n1,2\n", "line 3 has 2 fields but the header names 3 columns"),
        ("a,b,t\n1,2,3\n\n1,2,3,4\n", "line 4 has 4 fields but the header names 3 columns"),
        ("a,b,t\n1,,3\n", r"line 2, column 'b': the value is missing \(''\); distnn doesn't fill in"),
        ("a,b,t\n1,2,3\n1, NA ,3\n", r"line 3, column 'b': the value is missing \('NA'\)"),
        ("a,b,t\n1,NaN,3\n", r"line 2, column 'b': the value is missing \('NaN'\)"),
        ("a,b,t\n1,2,\n", r"line 2, column 't': the value is missing"),
        ("a,b,t\n1,-nan,1\n", "line 2, column 'b': '-nan' is not a finite number of float32"),
        ("a,b,t\n1,inf,1\n", "line 2, column 'b': 'inf' is not a finite number of float32"),
        ("a,b,t\n1,1e39,1\n", "line 2, column 'b': '1e39' is not a finite number of float32"),
        ("a,b,t\n1,1_0,1\n", "line 2, column 'b': '1_0' is not a finite number of float32"),
        ('a,b,t\n"1\n2",red,1\n', "line 3, column 'a'"),
        ("a,b,t\n1,red,1\n", "line 2, column 'b': 'red' is not a finite number of float32; expected features to be"),
        ('a,b,t\n1,"2,1\n', "line 2: not CSV"),
        (
            "a,t\n" + "".join(f"1,{i}\n" for i in range(9)),
            "holds 9 different integers in 9 lines, which may be classes",
        ),
    ],
)
def test_a_bad_csv_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    source = csv_file(tmp_path / "a.csv", text)
    with pytest.raises(DataError, match=expected) as caught:
        csv.convert(tmp_path / "a.h5", source, target="t")
    assert str(source) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "a.h5").exists()


def test_csv_errors_of_the_call(tmp_path: Path) -> None:
    source = csv_file(tmp_path / "a.csv", IRIS)
    for options, expected in (
        ({"target": "kinds"}, r"has no column 'kinds' \(did you mean 'kind'\?\); its columns are width, length, kind"),
        ({"target": "kind", "task": "regression"}, "line 2, column 'kind': 'lily' is not a finite number; expected"),
        ({"target": "kind", "test": 0.9, "validation": 0.1}, "leaves none of the 20 samples to train on"),
        ({"target": "kind", "delimiter": ";;"}, "the delimiter is ';;'; expected one character"),
    ):
        with pytest.raises(DataError, match=expected):
            csv.convert(tmp_path / "a.h5", source, **options)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"There is no CSV file .*none\.csv"):
        csv.convert(tmp_path / "a.h5", tmp_path / "none.csv", target="kind")
    csv_file(source, IRIS.replace("rose", "Röschen"), "latin-1")
    with pytest.raises(DataError, match="is not a text in UTF-8"):
        csv.convert(tmp_path / "a.h5", source, target="kind")
