"""CSV tables: a header with column names, then one sample a line. pandas reads the values; the header, and where a
value stands, are read by Python's own module.
"""

from __future__ import annotations

import csv
import gzip
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distnn.data.convert.columns import Table
from distnn.data.convert.extras import needed
from distnn.data.convert.labels import is_integer, is_number, listed
from distnn.data.convert.splits import TENTHS, Shares
from distnn.data.convert.table import Roles, Tell, convert_table
from distnn.data.file.opening import check_file
from distnn.errors import DataError

#: The texts that stand for a missing value, as they are and in capital and small letters.
MISSING = ("", "NA", "N/A", "NaN", "-NaN", "NULL", "None", "#N/A", "<NA>", "?")
MARKS = sorted({form for text in MISSING for form in (text, text.lower(), text.upper(), text.capitalize())})


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    Attributes:
        delimiter: the character that separates the fields; a blank: any number of them.
        decimal: the character before the decimals.
        header: whether the first line names the columns; None: yes, unless it looks like a sample.
    """

    delimiter: str = ","
    decimal: str = "."
    header: bool | None = None


USUAL = Dialect()


@dataclass(frozen=True)
class CSV:
    """A file, and how it is read: `names` of the columns, `frame`, and where a row is, `spot`."""

    path: Path
    dialect: Dialect

    def names(self) -> list[str]:
        """The names of the columns; 1, 2, … without a header.

        Raises:
            DataError: the file is missing, empty or no text, or its first line is no header.
        """
        if len(self.dialect.delimiter) != 1 or self.dialect.delimiter in '"\r\n':
            raise DataError(
                f"{self.path}: the delimiter is {self.dialect.delimiter!r}; expected one character, such as ';' or a "
                "tab."
            )
        with self.records() as records:
            first = [" ".join(name.split()) for name in next(records, (0, []))[1]]  # some have line breaks
        if not first:
            raise DataError(
                f"{self.path} is empty; expected a header line with the names of the columns, then the data."
            )
        if self.dialect.header is False:
            return [str(number) for number in range(1, len(first) + 1)]
        if doubles := sorted({name for name in first if first.count(name) > 1}):
            raise DataError(
                f"{self.path}, line 1: the column name {doubles[0]!r} is used twice; name each column once, or give "
                "--no-header if that line is a sample."
            )
        if self.dialect.header is None and _is_sample(first):
            raise DataError(
                f"{self.path}, line 1 holds numbers ({listed(first)}); expected a header line with the names of the "
                "columns. If it is a sample, give --no-header: the columns are then called 1, 2, …; if these are "
                "names, give --header."
            )
        return first

    def frame(self, names: Sequence[str], texts: Mapping[str, str], unused: Sequence[str]) -> Any:
        """A DataFrame of the columns that aren't ``unused``, those of ``texts`` as they are written.

        In a category every text but an empty one is a word.

        Raises:
            DataError: the file is damaged, or a line has too many or too few fields; with its line.
        """
        pandas = needed("pandas", "tables")
        try:
            with warnings.catch_warnings(record=True) as dubious, self._opened() as file:
                frame = pandas.read_csv(
                    file,
                    sep=r"\s+" if self.dialect.delimiter == " " else self.dialect.delimiter,
                    decimal=self.dialect.decimal,
                    header=None if self.dialect.header is False else 0,
                    names=list(names),
                    index_col=False,
                    skipinitialspace=True,
                    dtype=dict.fromkeys(texts, str),
                    keep_default_na=False,
                    na_values={name: [""] if texts.get(name) == "category" else MARKS for name in names},
                    low_memory=False,
                )
        except (pandas.errors.ParserError, ValueError, OverflowError) as error:
            self._check_lengths(len(names))
            raise DataError(
                f"{self.path} can't be read as CSV: {' '.join(str(error).split())}; correct it, or write it anew."
            ) from error
        if frame.empty:
            raise DataError(f"{self.path} has a header but no line of data below it; expected one sample a line.")
        if dubious or frame[names[-1]].isna().any():  # as where a line is too long, or too short
            self._check_lengths(len(names))
        frame = frame.drop(columns=list(unused))
        for name in frame.columns[[dtype.kind == "O" for dtype in frame.dtypes]]:
            frame[name] = self._cleaned(frame[name], texts.get(name) == "category")
        return frame

    def _cleaned(self, series: Any, category: bool) -> Any:
        """A column of texts without blanks behind them, which pandas leaves; and with a point before decimals.

        Behind blanks pandas knows no mark of missing values, and in columns of texts no decimals.
        """
        clean = {text: text.strip() for text in series.unique() if isinstance(text, str)}
        if self.dialect.decimal != "." and not category:
            points = {text: value.replace(self.dialect.decimal, ".") for text, value in clean.items()}
            clean |= {text: value for text, value in points.items() if is_number(value)}
        clean = {text: value for text, value in clean.items() if text != value}
        if not clean:
            return series
        series = series.replace(clean)
        return series if category else series.mask(series.isin(MARKS))

    def spot(self, names: Sequence[str], row: int, name: str) -> tuple[str, str]:
        """The line of a row, and the text of its value in a column."""
        with self.records() as records:
            for place, (line, fields) in enumerate(records, 0 if self.dialect.header is False else -1):
                if place == row:
                    return f"line {line}", dict(zip(names, fields, strict=False)).get(name, "")
        return f"sample {row + 1}", ""

    def _check_lengths(self, columns: int) -> None:
        with self.records() as records:
            for line, fields in records:
                if len(fields) != columns and any(fields[columns:] or [len(fields) < columns]):
                    raise DataError(
                        f"{self.path}, line {line} has {len(fields)} fields but there are {columns} columns; expected "
                        "one field for each column (quote a text that contains the delimiter)."
                    )

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """The file as text; gzip is recognised by its first bytes."""
        try:
            check_file(self.path, "a CSV table")
            with open(self.path, "rb") as file:
                packed = file.read(2) == b"\x1f\x8b"
                file.seek(0)
                with gzip.GzipFile(fileobj=file) if packed else file as plain:
                    # utf-8-sig: spreadsheets begin their UTF-8 with a mark that isn't part of the first name.
                    yield io.TextIOWrapper(plain, "utf-8-sig", newline="")
        except FileNotFoundError as error:
            raise DataError(f"There is no CSV file {self.path}; check the path.") from error
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self.path} is not a text in UTF-8 (byte {error.start} of a block is "
                f"{error.object[error.start]:#04x}); expected a CSV table: save it as CSV in UTF-8."
            ) from error
        except (OSError, EOFError) as error:
            raise DataError(f"{self.path} can't be read: {getattr(error, 'strerror', None) or error}.") from error

    @contextmanager
    def records(self) -> Iterator[Iterator[tuple[int, list[str]]]]:
        """The lines that aren't blank, each as its number and its fields without surrounding blanks."""
        with self._opened() as file:
            reader = csv.reader(file, delimiter=self.dialect.delimiter, skipinitialspace=True, strict=True)
            try:
                yield ((reader.line_num, [text.strip() for text in row]) for row in reader if row not in ([], [""]))
            except csv.Error as error:
                raise DataError(
                    f"{self.path}, line {reader.line_num}: not CSV ({error}); correct the quotes in that line."
                ) from error


def _is_sample(names: Sequence[str]) -> bool:
    """Whether the names of a header may be a sample's values: some are numbers, but not 0, 1, … or 1, 2, … in order."""
    numbers = [name for name in names if is_number(name)]
    counted = list(map(int, numbers)) if all(map(is_integer, numbers)) else []
    in_order = len(counted) > 1 and counted in (list(range(len(counted))), list(range(1, len(counted) + 1)))
    return bool(numbers) and (len(numbers) == len(names) or not in_order)


def convert(
    output: str | Path,
    path: str | Path,
    columns: Roles,
    *,
    dialect: Dialect = USUAL,
    cutting: Shares = TENTHS,
    tell: Tell = str,
    force: bool = False,
) -> Path:
    """Make a data file of a CSV table: x (N, features) float32, y labels or float64.

    Args:
        path: the table.
        columns: what its columns are for.
        dialect: how it is written.
        cutting: how the lines are split.
        tell: called with a line for each column that isn't taken as plain numbers.
    """
    file = CSV(Path(path), dialect)
    names = file.names()
    others = [mark for mark in ",;\t| " if len(names) == 1 and {*columns.target} & {*names[0].split(mark)}]
    hint = f" Are the fields separated by {others[0]!r}? Then give that with --delimiter." if others else ""
    columns = columns.resolved(file.path, names, hint)
    frame = file.frame(names, columns.texts, columns.drop)
    if "" in frame:
        raise DataError(
            f"{file.path}, line 1: the name of column {names.index('') + 1} is empty; name it, or leave it out with "
            "--drop ''."
        )
    table = Table(file.path, frame, lambda row, name: file.spot(names, row, name))
    return convert_table(output, table, columns, cutting=cutting, tell=tell, force=force)
