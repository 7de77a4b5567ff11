"""Parquet tables, read by pyarrow: one sample a row."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from distnn.data.convert.columns import Table
from distnn.data.convert.extras import needed
from distnn.data.convert.labels import listed
from distnn.data.convert.splits import TENTHS, Shares
from distnn.data.convert.table import Roles, Tell, convert_table
from distnn.data.file.opening import check_file
from distnn.errors import DataError


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, open; DataError for whatever pyarrow finds wrong with it."""
    arrow = needed("pyarrow", "tables")
    parquet = needed("pyarrow.parquet", "tables")
    needed("pandas", "tables")
    try:
        check_file(path, "a Parquet table")
        with parquet.ParquetFile(path) as file:
            yield file
    except FileNotFoundError as error:
        raise DataError(f"There is no Parquet file {path}; check the path.") from error
    except (arrow.ArrowException, OSError, ValueError) as error:
        text = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DataError(f"{path} can't be read as Parquet: {text}; copy it again, or write it anew.") from error


def _index(schema: Any) -> list[str]:
    """The columns that pandas has stored as an index; none where its notes aren't what pandas writes."""
    with suppress(ValueError):  # no JSON
        notes = schema.pandas_metadata
        found = notes.get("index_columns") if isinstance(notes, dict) else None
        return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
    return []


def read_all(path: Path, wanted: Collection[str]) -> Any:
    """A DataFrame of all columns, but for what pandas stored as an index, unless it is ``wanted``.

    Raises:
        DataError: the file is missing, damaged or no Parquet, or names a column twice.
    """
    with _opened(path) as file:
        names = file.schema_arrow.names
        if doubles := sorted({name for name in names if names.count(name) > 1}):
            raise DataError(f"{path}: the column name '{doubles[0]}' is used twice; name each column once.")
        index = {*_index(file.schema_arrow)} - {*wanted}
        table = file.read(columns=[name for name in names if name not in index])
        return table.to_pandas(ignore_metadata=True, date_as_object=False)


def read(path: Path, columns: Roles, tell: Tell) -> tuple[Any, Roles]:
    """A DataFrame of the columns that aren't dropped, and ``columns`` resolved.

    What pandas stored as an index numbers or names the rows, and is left out unless ``columns`` names it.

    Raises:
        DataError: the file is missing, damaged or no Parquet, has no rows, or a column holds lists, bytes or the like.
    """
    arrow = needed("pyarrow", "tables")
    with _opened(path) as file:
        schema = file.schema_arrow
        columns = columns.resolved(path, schema.names)
        unused = {name for name in _index(schema) if name not in {*columns.target, *columns.others, *columns.types}}
        if unused - set(columns.drop):
            tell(f"the index of the rows is left out: {listed(sorted(unused))}")
        kept = [name for name in schema.names if name not in {*columns.drop, *unused}]
        casts = [_plain(path, arrow.types, schema.field(name), arrow.float64()) for name in kept]
        table = file.read(columns=kept)
        frame = table.cast(arrow.schema(casts)).to_pandas(ignore_metadata=True, date_as_object=False)
    if frame.empty:
        raise DataError(f"{path} has no row; expected one sample a row.")
    return frame, columns


def _plain(path: Path, types: Any, field: Any, float64: Any) -> Any:
    """The field as pandas can hold it: decimal numbers as floats."""
    kind = field.type.value_type if types.is_dictionary(field.type) else field.type
    if types.is_decimal(kind):
        return field.with_type(float64)
    plain = (types.is_integer, types.is_floating, types.is_boolean, types.is_string, types.is_large_string)
    if not any(fits(kind) for fits in (*plain, types.is_date, types.is_timestamp, types.is_null)):
        raise DataError(
            f"{path}: column '{field.name}' holds values of the type {field.type}; expected numbers, texts, True and "
            f"False, or dates: leave it out with --drop '{field.name}'."
        )
    return field


def convert(
    output: str | Path,
    path: str | Path,
    columns: Roles,
    *,
    cutting: Shares = TENTHS,
    tell: Tell = str,
    force: bool = False,
) -> Path:
    """Make a data file of a Parquet table: x (N, features) float32, y labels or float64.

    Args:
        path: the table.
        columns: what its columns are for.
        cutting: how the rows are split.
        tell: called with a line for each column that isn't taken as plain numbers.
    """
    path = Path(path)
    frame, columns = read(path, columns, tell)

    def spot(row: int, name: str) -> tuple[str, str]:
        value = frame[name][row]
        return f"row {row + 1}", "" if value is None or value != value else str(
            value
        )  # NaN and NaT differ from themselves

    return convert_table(output, Table(path, frame, spot, "row"), columns, cutting=cutting, tell=tell, force=force)
