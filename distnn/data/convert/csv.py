"""CSV tables: a header with column names, then one sample a line; one column is the target, the others are features."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from distnn.data.convert.labels import MOST_CLASSES, is_integer, numbered
from distnn.data.convert.splits import by_fraction
from distnn.data.file.writing import write_data
from distnn.errors import DataError, nearest

#: The texts that stand for a missing value, in upper or lower case.
MISSING = frozenset({"", "na", "n/a", "nan", "null"})
#: With more distinct integers than this, a target may be a quantity, and the user has to say which it is.
GUESSED_CLASSES = 1_000
LARGEST = float(np.finfo(np.float32).max)


@dataclass
class Table:
    """A CSV file: for each sample its features, the text of its target, and its line."""

    path: Path
    target: str
    features: list[np.ndarray] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


def read_csv(path: Path, target: str, delimiter: str) -> Table:
    """Read a table in UTF-8, and check every value.

    Raises:
        DataError: the file is missing or isn't a table, the delimiter is impossible, there is no such target, a line
            has too many or too few fields, a value is missing, or a feature isn't a number; with its line and column.
    """
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise DataError(f"{path}: the delimiter is {delimiter!r}; expected one character, such as ';' or a tab.")
    with _rows(path, delimiter) as rows:
        header = next(rows, (0, []))[1]
        _check_header(path, header, target, delimiter)
        column = header.index(target)
        names = header[:column] + header[column + 1 :]
        table = Table(path, target)
        for line, row in rows:
            if len(row) != len(header):
                raise DataError(
                    f"{path}, line {line} has {len(row)} fields but the header names {len(header)} columns; expected "
                    "one field for each column (quote a text that contains the delimiter)."
                )
            _check_present(path, line, target, row[column])
            table.targets.append(row.pop(column))
            table.features.append(_numbers(path, line, row, names))
            table.lines.append(line)
    if not table.lines:
        raise DataError(f"{path} has a header but no line of data below it; expected one sample a line.")
    return table


@contextmanager
def _rows(path: Path, delimiter: str) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """The lines that aren't empty, each as its number and its fields without surrounding blanks."""
    try:
        # utf-8-sig: spreadsheets begin their UTF-8 with a mark that isn't part of the first name.
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
            yield ((reader.line_num, [text.strip() for text in row]) for row in reader if row)
    except FileNotFoundError as error:
        raise DataError(f"There is no CSV file {path}; check the path.") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not a text in UTF-8 (byte {error.start} of a block is {error.object[error.start]:#04x}); "
            "expected a CSV table: save it as CSV in UTF-8."
        ) from error
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: not CSV ({error}); correct the quotes in that line."
        ) from error
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error


def _check_header(path: Path, header: list[str], target: str, delimiter: str) -> None:
    """DataError if the first line isn't a usable header."""
    if not header:
        raise DataError(f"{path} is empty; expected a header line with the names of the columns, then the data.")
    doubles = sorted({name for name in header if header.count(name) > 1 or not name})
    if all(map(_is_number, header)):
        raise DataError(
            f"{path}, line 1 holds numbers ({', '.join(header[:4])}, …); expected a header line with the names of the "
            "columns: add one above the data."
        )
    if doubles:
        raise DataError(
            f"{path}, line 1: the column name {doubles[0]!r} is empty or used twice; name each column once."
        )
    if target not in header:
        others = [mark for mark in ",;\t|" if mark != delimiter and len(header) == 1 and mark in header[0]]
        hint = f" Are the fields separated by {others[0]!r}? Then give that with --delimiter." if others else ""
        raise DataError(
            f"{path} has no column '{target}'{nearest(target, header)}; its columns are "
            f"{', '.join(header[:20])}{', …' if len(header) > 20 else ''}.{hint}"
        )
    if len(header) < 2:
        raise DataError(f"{path} has only the target column '{target}'; expected at least one column of features.")


def _check_present(path: Path, line: int, name: str, text: str) -> None:
    if text.lower() in MISSING:
        raise DataError(
            f"{path}, line {line}, column '{name}': the value is missing ({text!r}); distnn doesn't fill in missing "
            "values: fill it in, or remove the line or the column."
        )


def _numbers(path: Path, line: int, row: list[str], names: Sequence[str]) -> np.ndarray:
    """The features of a line (F,): converted all at once, and one by one only if that fails, to name the bad one."""
    with suppress(ValueError):
        values = np.array(list(map(float, row)))
        if (np.abs(values) <= LARGEST).all() and "_" not in "".join(row):
            return values.astype(np.float32)
    for name, text in zip(names, row, strict=True):
        _check_present(path, line, name, text)
        if not _is_number(text):
            break
    raise DataError(
        f"{path}, line {line}, column '{name}': {text!r} is not a finite number of float32; expected features to be "
        "numbers: encode texts as numbers, or remove the column."
    )


def _is_number(text: str) -> bool:
    try:
        # Python accepts 1_000 as a number; a table that holds it means something else.
        return abs(float(text)) <= LARGEST and "_" not in text
    except ValueError:
        return False


def infer_task(table: Table) -> str:
    """The task that the targets suggest: texts and integers are classes, other numbers are quantities.

    Raises:
        DataError: there are so many distinct integers that they may be either.
    """
    if not all(map(is_integer, table.targets)):
        return "regression" if all(map(_is_number, table.targets)) else "classification"
    distinct = len(set(table.targets))
    if distinct > min(GUESSED_CLASSES, max(2, len(table.targets) // 2)):
        raise DataError(
            f"{table.path}: column '{table.target}' holds {distinct} different integers in {len(table.targets)} lines, "
            "which may be classes or quantities; say which with --task classification or --task regression."
        )
    return "classification"


def _targets(table: Table, task: str) -> tuple[np.ndarray, tuple[str, ...]]:
    if task == "classification":
        labels, classes = numbered(table.targets)
        if len(classes) > MOST_CLASSES:
            raise DataError(
                f"{table.path}: column '{table.target}' holds {len(classes)} different values; too many classes."
            )
        return labels, classes
    for line, text in zip(table.lines, table.targets, strict=True):
        if not _is_number(text):
            raise DataError(
                f"{table.path}, line {line}, column '{table.target}': {text!r} is not a finite number; expected "
                "numbers as targets of a regression (for names, choose --task classification)."
            )
    return np.array([float(text) for text in table.targets]), ()


def convert(
    output: str | Path,
    path: str | Path,
    *,
    target: str,
    task: str | None = None,
    delimiter: str = ",",
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    force: bool = False,
) -> Path:
    """Make a data file of a CSV table: x (N, columns) float32, y labels or float64.

    Args:
        path: the table.
        target: the name of the target column.
        task: classification or regression; None: see `infer_task`.
        delimiter: the character that separates the fields.
        validation, test: the fractions of the lines for them.
        seed: of the random split.
    """
    table = read_csv(Path(path), target, delimiter)
    task = task or infer_task(table)
    y, classes = _targets(table, task)
    splits = by_fraction(
        table.path, np.stack(table.features), y, task=task, validation=validation, test=test, seed=seed
    )
    return write_data(output, splits, task=task, classes=classes, source=f"CSV table {table.path.name}", force=force)
