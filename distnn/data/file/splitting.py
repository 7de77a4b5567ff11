"""Rows cut into splits, as `distnn.data.cutting` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distnn.arrays import Array
from distnn.data.cutting import Cut
from distnn.data.file import checks
from distnn.data.file.many import Across
from distnn.data.file.picked import Picked
from distnn.data.file.rows import Rows
from distnn.errors import DataError

#: By split and field, what it is read from.
Data = Mapping[str, Mapping[str, Rows]]


def numbers_of(
    where: Path, cut: Cut, data: Data, group: Rows | None, task: str, classes: Sequence[str]
) -> dict[str, Array]:
    """Which of the training samples are for each split; the labels or groups that this depends on are read.

    Raises:
        DataError: they can't be cut so.
        OSError, RuntimeError: h5py's, for what can't be read.
    """
    try:
        return _numbers_of(str(where), cut, data, group, task, classes)
    except DataError as error:
        raise error.at("data", "split") from None


def _numbers_of(
    where: str, cut: Cut, data: Data, group: Rows | None, task: str, classes: Sequence[str]
) -> dict[str, Array]:
    for split in cut.made:
        if split in data:
            raise DataError(
                f"{where} has samples for {split} of its own, and data.split.{split} would cut off others; remove that "
                f"key."
            )
    rows: Any = data["train"]["y"]
    samples = rows.shape[0]
    if cut.files:
        if not isinstance(rows, Across):
            raise DataError(
                f"{where} is a single file, but [data.split] lists files; give data.path as a pattern that names all "
                f'of them, such as "data/*.h5".'
            )
        return cut.by_file(where, [str(path) for path in rows.paths], rows.lengths)
    if group is not None:
        return cut.by_group(where, _all(group), samples)
    if not cut.stratify:
        return cut.at_random(where, samples)
    if task != "classification":
        raise DataError(
            f"{where} is for {task}, which has no class for each sample; leave out data.split.stratify, which is for "
            f"classes."
        )
    return cut.by_class(where, _all(rows), classes)


def picked(data: Data, numbers: Mapping[str, Array]) -> dict[str, dict[str, Rows]]:
    """The rows of each split: those with these numbers among the rows for training, and the file's own."""
    made = {split: {field: Picked(rows, numbers[split]) for field, rows in data["train"].items()} for split in numbers}
    whole: dict[str, Any] = {split: dict(fields) for split, fields in data.items()} | made
    return {split: whole[split] for split in checks.SPLITS if split in whole}


def _all(rows: Rows) -> Array:
    native = rows.dtype if rows.dtype.kind == "O" else rows.dtype.newbyteorder("=")
    values = np.empty(rows.shape, native)
    rows.read_direct(values, slice(0, rows.shape[0]))
    return values


def numbers_in(rows: Rows, start: int, stop: int) -> Array:
    """Which of the rows that they were picked from the rows start..stop are; they themselves, if they weren't."""
    return rows.numbers[start:stop] if isinstance(rows, Picked) else np.arange(start, stop)


def origin(path: Path, split: str, rows: Rows, number: int) -> tuple[Path, str, int]:
    """The file that a row is in, the split that it is of there, and its number there.

    Arguments:
        path, split: of the rows.
        number: of the row among them.
    """
    if isinstance(rows, Picked):
        return origin(path, "train", rows.parts[0], int(rows.numbers[number]))
    return rows.origin(number) if isinstance(rows, Across) else (path, split, number)
