"""Columns of a table as features: numbers as they are, words as a feature each, and dates, if asked for, as days."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distnn.data.convert.extras import needed
from distnn.data.convert.labels import is_integer, is_number, listed, numbered
from distnn.errors import DataError

#: What a column can be said to hold.
KINDS = ("category", "number", "date")
#: The most different words of a column that become features without being asked for.
MOST_WORDS = 100
#: The most that do where they are asked for: each takes 4 bytes of every line.
MOST_FEATURES = 10_000
#: The word for those that are missing.
MISSING = "(missing)"
LARGEST = float(np.finfo(np.float32).max)
DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?)?( ?(Z|[+-]\d\d(:?\d\d)?))?")
DECIMAL_COMMA = re.compile(r"[+-]?[\d.]*,\d+")
LOGICAL = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Attributes:
        path: the file.
        frame: its columns, a pandas DataFrame; the index of a row is its place in the file.
        spot: where a row is, in words, and the text of its value in a column.
        unit: what a row is called.
    """

    path: Path
    frame: Any
    spot: Callable[[int, str], tuple[str, str]]
    unit: str = "line"

    def at(self, name: str, row: int) -> str:
        """A value for a message: file, line, column, and its text."""
        where, text = self.spot(int(self.frame.index[row]), name)
        return f"{self.path}, {where}, column '{name}': {text[:80]!r}"


@dataclass(frozen=True)
class Numbers:
    """A feature, values (N,); ``wide`` if float32 would make different values equal."""

    name: str
    values: np.ndarray
    note: str = ""
    wide: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Of its features."""
        return (self.name,)

    def fill(self, out: np.ndarray) -> None:
        """Write its features into ``out`` (N, 1)."""
        out[:, 0] = self.values


@dataclass(frozen=True)
class Categories:
    """A feature for each word, which is 1 where a line has that word and else 0; codes (N,) index the words."""

    name: str
    codes: np.ndarray
    words: tuple[str, ...]

    wide = False

    @property
    def note(self) -> str:
        """What it was taken for."""
        return f"{len(self.words)} words, a feature of 0 and 1 for each: {listed(self.words)}"

    @property
    def names(self) -> tuple[str, ...]:
        """Of its features."""
        return tuple(f"{self.name}={word}" for word in self.words)

    def fill(self, out: np.ndarray) -> None:
        """Write its features into ``out`` (N, words)."""
        out[:] = 0
        out[np.arange(len(self.codes)), self.codes] = 1


def encode(table: Table, name: str, kind: str | None) -> Numbers | Categories:
    """The features that a column is; missing values are NaN, or a word of their own.

    Args:
        table: the table.
        name: the column.
        kind: one of `KINDS`; None: what its values suggest.

    Raises:
        DataError: a value that isn't a finite number of float32, numbers mixed with words, dates or many different
            words without a ``kind``, or values that the kind doesn't allow; with its line and column.
    """
    series = table.frame[name]
    if kind == "category":
        codes, distinct = words(series)
        if len(distinct) > MOST_FEATURES:
            raise DataError(
                f"{table.path}: column '{name}' holds {len(distinct)} different words, which are too many for a "
                f"feature each; expected at most {MOST_FEATURES}: leave it out with --drop '{name}'."
            )
        return categories(name, codes, distinct)
    if kind == "date" or series.dtype.kind == "M":
        if kind is None:
            raise DataError(f"{table.path}: column '{name}' holds dates; {_choices(name, 'date', 'category')}.")
        return Numbers(name, _days(table, name), "dates as days since 1970-01-01 (UTC)")
    if series.dtype.kind not in "biuf":
        return _texts(table, name, kind)
    note = "True and False as 1 and 0" if series.dtype.kind == "b" else ""
    if series.dtype.kind in "iu" and len(series) > 2 and (np.diff(series.to_numpy()) == 1).all():
        note = f"numbers the {table.unit}s, which is seldom of use; --drop '{name}' leaves it out"
    return _numbers(table, name, series.to_numpy(), note, lossy=kind == "number")


def words(series: Any) -> tuple[np.ndarray, list[str]]:
    """For each row the index of its word, −1 where it is missing; and the words, without surrounding blanks."""
    codes, distinct = needed("pandas", "tables").factorize(series)
    texts = [str(word).strip() for word in distinct]
    kept = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    places = np.array([kept[text] for text in texts] + [-1])  # the last for the code −1
    return places[codes], list(kept)


def categories(name: str, codes: np.ndarray, distinct: list[str]) -> Categories:
    """A feature for each word, in order: by value where all are numbers."""
    labels, order = numbered(distinct)
    if (codes < 0).any():
        labels, order = np.append(labels, len(order)), (*order, MISSING)
    return Categories(name, labels[codes], order)


def quantities(table: Table, name: str) -> np.ndarray:
    """A column (N,) as float64, NaN where a value is missing; DataError for a value that isn't a finite number."""
    series = table.frame[name]
    if series.dtype.kind in "biuf":
        values = series.to_numpy(np.float64)
    else:
        codes, distinct = words(series)
        values = np.array([*(float(text) if is_number(text) else np.inf for text in distinct), np.nan])[codes]
    if (np.abs(values) > LARGEST).any():
        raise _no_number(table, name, np.abs(values) > LARGEST)
    return np.asarray(values)


def _texts(table: Table, name: str, kind: str | None) -> Numbers | Categories:
    """What a column of texts is: the texts of numbers, True and False, or words."""
    codes, distinct = words(table.frame[name])
    if all(text.lower() in LOGICAL for text in distinct):
        values = np.array([*(LOGICAL[text.lower()] for text in distinct), np.nan])[codes]
        return Numbers(name, values, "True and False as 1 and 0")
    fits = [is_number(text) for text in distinct]
    if all(fits):
        if any(is_integer(text) and abs(int(text)) > 2**53 for text in distinct) and kind is None:
            raise _large(table, name)
        return _numbers(table, name, quantities(table, name), "", lossy=True)
    if kind == "number" or any(fits):
        raise _no_number(table, name, np.array([not fit for fit in fits] + [False])[codes])
    if all(map(DATE.fullmatch, distinct)):
        raise DataError(
            f"{table.at(name, 0)} and all others of this column are dates; {_choices(name, 'date', 'category')}."
        )
    if all(map(DECIMAL_COMMA.fullmatch, distinct)):
        raise DataError(
            f"{table.at(name, 0)} looks like a number; is it a decimal comma? Then give --decimal ','. "
            f"Else take the comma out, or {_choices(name, 'category')}."
        )
    if len(distinct) > min(MOST_WORDS, max(2, len(codes) // 2)):
        raise DataError(
            f"{table.at(name, 0)} is one of {len(distinct)} different words in {len(codes)} {table.unit}s of this "
            f"column; {_choices(name, 'category')} (a feature for each word)."
        )
    return categories(name, codes, distinct)


def _numbers(table: Table, name: str, values: np.ndarray, note: str, *, lossy: bool) -> Numbers:
    if values.dtype.kind in "iu" and len(values) and max(int(values.max()), -int(values.min())) > 2**53 and not lossy:
        raise _large(table, name)
    values = values.astype(np.float64)
    if (np.abs(values) > LARGEST).any():
        raise _no_number(table, name, np.abs(values) > LARGEST)
    wide = _loses(values)
    if wide:
        note = (
            "float32 would make different values equal, so x is stored as float64; training computes in float32, "
            'after x = ["standardize"] in [transforms]'
        )
    return Numbers(name, values, note, wide)


def _loses(values: np.ndarray) -> bool:
    """Whether float32 makes values equal because they are close together and far from 0, as times are."""
    finite = values[np.isfinite(values)]
    if not finite.size or np.abs(finite).max() * 2.0**-24 <= 1e-4 * finite.std():
        return False
    return len(np.unique(finite)) > len(np.unique(finite.astype(np.float32)))


def _days(table: Table, name: str) -> np.ndarray:
    """The dates of a column as days since 1970-01-01, NaN where they are missing."""
    pandas = needed("pandas", "tables")
    series = table.frame[name]
    if series.dtype.kind == "M":
        times = pandas.DatetimeIndex(pandas.to_datetime(series, utc=True))
    else:
        codes, distinct = words(series)
        times = pandas.to_datetime([*distinct, None], format="ISO8601", utc=True, errors="coerce")
        bad = np.asarray(times.isna()) | [not DATE.fullmatch(text) for text in [*distinct, "1970-01-01"]]
        bad[-1] = False
        if bad[codes].any():
            raise DataError(
                f"{table.at(name, int(np.argmax(bad[codes])))} is not a date; expected dates such as 2026-11-30 or "
                "2026-11-30T18:30:00+01:00."
            )
        times = times[codes]
    return np.asarray((times - pandas.Timestamp(0, tz="UTC")) / pandas.Timedelta(days=1), np.float64)


def _no_number(table: Table, name: str, bad: np.ndarray) -> DataError:
    place = table.at(name, int(np.argmax(bad)))
    comma = (
        " Has it a decimal comma? Then give --decimal ','." if DECIMAL_COMMA.search(place.rpartition(": ")[2]) else ""
    )
    return DataError(
        f"{place} is not a finite number of float32, as the others of this column are expected to be; correct it, or "
        f"{_choices(name, 'category')}.{comma}"
    )


def _large(table: Table, name: str) -> DataError:
    return DataError(
        f"{table.path}: column '{name}' holds integers beyond 2^53, which no float tells apart: are they names and not "
        f"quantities? Then {_choices(name, 'category')}; --types '{name}=number' takes them as they are, rounded."
    )


def _choices(name: str, *kinds: str) -> str:
    options = " or ".join(f"--types '{name}={kind}'" for kind in kinds)
    return f"give {options}, or leave the column out with --drop '{name}'"
