"""What the columns of a table become: the same from CSV and from Parquet, and as pandas' own encodings have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from distnn.data import DataFile
from distnn.data.convert import csv, parquet
from distnn.data.convert.splits import Shares
from distnn.data.convert.table import Roles
from distnn.errors import DataError

ROWS = 24
WHOLE = Shares(0, 0)
FRAME = pd.DataFrame(
    {
        "number": np.arange(ROWS) / 4,
        "count": np.arange(ROWS) - 3,
        "word": ["red", "green", "blue", "a b"] * 6,
        "flag": [True, False, False] * 8,
        "t": ["yes", "no"] * 12,
    }
)


@pytest.fixture(params=["csv", "parquet"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Made:
    """The data file of a frame, with all rows in one split and in their order, and the lines that were told."""

    def __init__(self, folder: Path, kind: str, frame: pd.DataFrame, cutting: Shares = WHOLE, **columns: Any) -> None:
        self.lines: list[str] = []
        source = folder / f"a.{kind}"
        frame = frame.assign(row=np.arange(len(frame)))
        if kind == "csv":
            frame.to_csv(source, index=False)
        else:
            frame.to_parquet(source)
        chosen = Roles(**({"target": ("t",)} | columns))
        convert = {"csv": csv.convert, "parquet": parquet.convert}[kind]
        path = convert(folder / "a.h5", source, chosen, cutting=cutting, tell=self.lines.append, force=True)
        with DataFile(path) as file, h5py.File(path) as raw:
            self.classes, self.dtype = file.classes, file.x_dtype
            self.names, self.targets = map(list, (file.names("x"), file.names("y")))
            parts = {split: {name: raw[split][name][()] for name in file.fields} for split in file.splits}
        self.rows = {split: part["x"][:, self.names.index("row")].astype(int) for split, part in parts.items()}
        order = np.argsort(self.rows["train"])
        self.fields = {name: values[order] for name, values in parts["train"].items()}
        self.x, self.y = self.fields["x"], self.fields["y"]

    def feature(self, name: str) -> np.ndarray:
        return self.x[:, self.names.index(name)]


def test_words_flags_and_numbers_are_as_pandas_encodes_them(tmp_path: Path, kind: str) -> None:
    made = Made(tmp_path, kind, FRAME)
    expected = pd.get_dummies(FRAME.drop(columns="t"), prefix_sep="=").astype(np.float32)
    assert sorted([*expected, "row"]) == sorted(made.names)
    for name in expected:
        np.testing.assert_array_equal(made.feature(name), expected[name])
    assert made.classes == ("no", "yes") and made.targets == ["t"] and made.dtype == np.float32
    np.testing.assert_array_equal(made.y, FRAME["t"] == "yes")
    unit = {"csv": "line", "parquet": "row"}[kind]
    assert made.lines == [
        "target 't': 2 classes, no, yes",
        f"column 'count': numbers the {unit}s, which is seldom of use; --drop 'count' leaves it out",
        "column 'word': 4 words, a feature of 0 and 1 for each: a b, blue, green, red",
        "column 'flag': True and False as 1 and 0",
        f"column 'row': numbers the {unit}s, which is seldom of use; --drop 'row' leaves it out",
    ]


def test_columns_are_left_out_and_taken_as_categories(tmp_path: Path, kind: str) -> None:
    made = Made(tmp_path, kind, FRAME, drop=("word", "flag,number"), types={"count": "category"})
    assert made.names == [*(f"count={number}" for number in range(-3, 21)), "row"]
    np.testing.assert_array_equal(made.x[:, :-1], np.eye(ROWS))


def test_several_targets_are_columns_of_y(tmp_path: Path, kind: str) -> None:
    for target in (("count", "number"), ("count,number",)):
        made = Made(tmp_path, kind, FRAME, target=target, drop=("word",))
        assert made.targets == ["count", "number"] and not made.classes
        np.testing.assert_array_equal(made.y, FRAME[["count", "number"]])


def test_missing_values_are_refused_or_their_rows_dropped(tmp_path: Path, kind: str) -> None:
    frame = FRAME.astype({"flag": object})
    frame.loc[3, "number"], frame.loc[5, "word"], frame.loc[7, "t"], frame.loc[9, "flag"] = np.nan, None, None, None
    place = {"csv": "line 5, column 'number': ''", "parquet": "row 4, column 'number': ''"}[kind]
    with pytest.raises(DataError, match=f"{place}: the value is missing"):
        Made(tmp_path, kind, frame)
    made = Made(tmp_path, kind, frame, missing="drop")
    assert made.lines[0] == f"4 of 24 {'line' if kind == 'csv' else 'row'}s left out, in which a value is missing"
    np.testing.assert_array_equal(made.feature("row"), np.setdiff1d(np.arange(24), [3, 5, 7, 9]))
    np.testing.assert_array_equal(made.feature("flag"), FRAME["flag"][made.feature("row").astype(int)])
    with pytest.raises(DataError, match="a value is missing in every .*, most often in column 'number'"):
        Made(tmp_path, kind, frame.assign(number=np.nan), missing="drop")


def test_missing_values_are_kept_as_nan_or_as_a_word(tmp_path: Path, kind: str) -> None:
    frame = FRAME.astype({"flag": object})
    frame.loc[3, "number"], frame.loc[5, "word"], frame.loc[9, "flag"] = np.nan, None, None
    made = Made(tmp_path, kind, frame, missing="keep")
    for name, row in (("number", 3), ("flag", 9)):
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(made.feature(name))), [row])
    np.testing.assert_array_equal(made.feature("word=(missing)"), np.arange(ROWS) == 5)
    assert made.feature("word=green")[5] == 0
    assert made.lines[0].endswith(
        'kept as NaN, for x = ["fill"] in [transforms], of the columns number (1), word (1), flag (1)'
    )
    for nothing in (np.nan, None):
        with pytest.raises(
            DataError, match="column 'number' has no value in any .*; leave it out with --drop 'number'"
        ):
            Made(tmp_path, kind, frame.assign(number=nothing), missing="keep")
    frame.loc[7, "t"] = None
    with pytest.raises(DataError, match="column 't': .*: the value is missing. --missing drop leaves such"):
        Made(tmp_path, kind, frame, missing="keep")


def test_weights_and_masks_are_fields(tmp_path: Path, kind: str) -> None:
    frame = FRAME.assign(weight=np.arange(ROWS) / 2, other=np.arange(ROWS) * 1.5)
    frame.loc[7, "other"] = np.nan
    made = Made(tmp_path, kind, frame, target=("number", "other"), weight="weight", missing="keep", drop=("t",))
    np.testing.assert_array_equal(made.fields["weight"], np.arange(ROWS) / 2)
    expected = np.ones((ROWS, 2), bool)
    expected[7, 1] = False
    np.testing.assert_array_equal(made.fields["mask"], expected)
    np.testing.assert_array_equal(made.y, frame[["number", "other"]])
    assert "weight" not in made.names
    assert f"column 'weight': how much each {'line' if kind == 'csv' else 'row'} counts" in made.lines
    assert "missing targets are masked: 1 of 48" in made.lines
    assert "quantities to predict: 'number' from 0 to 5.75, 'other' from 0 to 34.5" in made.lines
    with pytest.raises(DataError, match="column 'other' has no value in any"):
        Made(tmp_path, kind, frame.assign(other=np.nan), target=("other",), missing="keep", task="regression")
    with pytest.raises(DataError, match="column 'weight': '-0.5' is not a weight; expected 0 or more"):
        Made(tmp_path, kind, frame.assign(weight=-0.5), weight="weight", drop=("other",))


def test_dates_are_days_where_that_is_asked_for(tmp_path: Path, kind: str) -> None:
    days = pd.date_range("1999-12-31 06:00", periods=ROWS, freq="36h")
    frame = FRAME.assign(day=days)
    with pytest.raises(DataError, match="column 'day'.* dates; give --types 'day=date' or --types 'day=category', or"):
        Made(tmp_path, kind, frame)
    made = Made(tmp_path, kind, frame, types={"day": "date"})
    np.testing.assert_allclose(made.feature("day"), 10956.25 + 1.5 * np.arange(ROWS), rtol=1e-7)
    assert "column 'day': dates as days since 1970-01-01 (UTC)" in made.lines
    zoned = frame.assign(day=[f"2020-01-01T00:00:{second:02}+01:00" for second in range(ROWS)])
    made = Made(tmp_path, kind, zoned, target=("day",), types={"day": "date"})
    np.testing.assert_allclose(made.y - 18261, (82800 + np.arange(ROWS)) / 86400, atol=1e-9)
    with pytest.raises(DataError, match="column 'word': 'red' is not a date; expected dates such as 2026-11-30"):
        Made(tmp_path, kind, frame, types={"word": "date", "day": "date"})


def test_many_words_are_refused_unless_asked_for(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = FRAME.assign(name=[f"person {row}" for row in range(ROWS)])
    with pytest.raises(DataError, match=r"'person 0' is one of 24 different words in 24 .*--types 'name=category'"):
        Made(tmp_path, kind, frame)
    assert Made(tmp_path, kind, frame, types={"name": "category"}).x.shape[1] == 8 + ROWS
    monkeypatch.setattr("distnn.data.convert.columns.MOST_FEATURES", 20)
    with pytest.raises(DataError, match="column 'name' holds 24 different words, which are too many for a feature"):
        Made(tmp_path, kind, frame, types={"name": "category"})


def test_times_that_float32_makes_equal_stay_apart(tmp_path: Path, kind: str) -> None:
    frame = FRAME.assign(time=1_700_000_000 + np.arange(ROWS))
    made = Made(tmp_path, kind, frame)
    assert made.dtype == np.float64 and any("column 'time': float32 would make" in line for line in made.lines)
    np.testing.assert_array_equal(made.feature("time"), frame["time"])
    assert Made(tmp_path, kind, FRAME.assign(time=frame["time"] * 10.0 ** np.arange(ROWS))).dtype == np.float32


def test_integers_that_no_float_holds_are_refused(tmp_path: Path, kind: str) -> None:
    frame = FRAME.assign(id=2**60 + np.arange(ROWS))
    with pytest.raises(DataError, match=r"column 'id' holds integers beyond 2\^53.* --types 'id=category'"):
        Made(tmp_path, kind, frame)
    np.testing.assert_allclose(Made(tmp_path, kind, frame, types={"id": "number"}).feature("id"), 2.0**60)


def test_no_group_is_in_two_splits(tmp_path: Path, kind: str) -> None:
    frame = FRAME.assign(patient=[f"p{row // 4}" for row in range(ROWS)])
    made = Made(tmp_path, kind, frame, cutting=Shares(0.2, 0.3), group="patient")
    assert not any(name.startswith("patient") for name in made.names)
    patients = {split: set(frame["patient"][rows]) for split, rows in made.rows.items()}
    assert set(patients) == {"train", "validation", "test"}
    assert sum(map(len, patients.values())) == 6 and sum(map(len, made.rows.values())) == ROWS
    with pytest.raises(DataError, match="its 1 groups are too few or too large to leave some for each split"):
        Made(tmp_path, kind, frame.assign(patient="p"), cutting=Shares(0.2, 0.3), group="patient")


def test_one_target_column_with_one_value_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match="column 't' holds the same value, 'yes', in all 24"):
        Made(tmp_path, kind, FRAME.assign(t="yes"))


def test_parquet_of_other_types(tmp_path: Path) -> None:
    import decimal

    frame = FRAME.assign(
        price=[decimal.Decimal(row) / 8 for row in range(ROWS)],
        level=pd.Categorical(["low", "high"] * 12, categories=["low", "high"]),
        small=np.arange(ROWS, dtype=np.uint8),
        maybe=pd.array([True, False, True, False] * 6, dtype="boolean"),
    )
    made = Made(tmp_path, "parquet", frame)
    np.testing.assert_array_equal(made.feature("price"), np.arange(ROWS) / 8)
    np.testing.assert_array_equal(made.feature("level=low"), [1, 0] * 12)
    np.testing.assert_array_equal(made.feature("maybe"), [1, 0] * 12)
    nested = FRAME.assign(list=[[1, 2]] * ROWS)
    with pytest.raises(DataError, match=r"column 'list' holds values of the type list<.*--drop 'list'"):
        Made(tmp_path, "parquet", nested)
    assert "list" not in Made(tmp_path, "parquet", nested, drop=("list",)).names


@pytest.mark.parametrize("name", [None, "id"])
def test_an_index_is_left_out_unless_it_is_named(tmp_path: Path, name: str | None) -> None:
    frame = FRAME.assign(row=np.arange(ROWS)).set_axis(pd.Index(np.arange(ROWS) * 7, name=name))[::3]
    frame.to_parquet(tmp_path / "a.parquet")
    lines: list[str] = []
    path = parquet.convert(tmp_path / "a.h5", tmp_path / "a.parquet", Roles(("t",), missing="keep"), tell=lines.append)
    stored = name or "__index_level_0__"
    assert lines[0] == f"the index of the rows is left out: {stored}"
    with DataFile(path) as file:
        assert stored not in file.names("x")
    roles = Roles((stored,), task="regression")
    with DataFile(parquet.convert(tmp_path / "b.h5", tmp_path / "a.parquet", roles)) as file:
        assert file.names("y") == (stored,)


def test_files_that_are_no_parquet_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "a.parquet"
    with pytest.raises(DataError, match="There is no Parquet file"):
        parquet.convert(tmp_path / "a.h5", source, Roles(("t",)))
    FRAME.to_parquet(source)
    whole = source.read_bytes()
    for content in (b"", b"PAR1", b"a,t\n1,2\n", whole[:-50], whole[:4] + bytes(len(whole) - 8) + whole[-4:]):
        source.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.parquet can't be read as Parquet") as caught:
            parquet.convert(tmp_path / "a.h5", source, Roles(("t",)))
        assert "\n" not in str(caught.value)
    FRAME[:0].to_parquet(source)
    with pytest.raises(DataError, match="has no row"):
        parquet.convert(tmp_path / "a.h5", source, Roles(("t",)))
