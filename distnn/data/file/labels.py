"""Labels of a classification however they are stored: texts, whole floats, one-hot rows, a column (N, 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

from distnn.arrays import Array
from distnn.data.file.attributes import text
from distnn.data.file.checks import listing
from distnn.data.file.rows import Rows, names_of
from distnn.data.file.views import Changed, reshaped
from distnn.errors import DataError, nearest


def labels(where: str, rows: Any, classes: Sequence[str], notes: list[str], *, one_hot: bool = False) -> Rows:
    """Rows of integer labels, each the place of its class.

    Arguments:
        where: names the file and the split in errors.
        rows: texts, integers, or floats that are whole; one-hot rows (N, …, classes) if so said; (N, 1) is taken for
            (N,).
        classes: the names, which texts must be among.
        notes: gets what is to be said once.
    """
    if one_hot:
        return _from_one_hot(where, rows, classes)
    if len(rows.shape) == 2 and rows.shape[1] == 1:
        rows = reshaped(rows, rows.shape[:1], names_of(rows))
    if rows.dtype.kind in "SO":
        notes.append("y holds texts; each is read as the place of its class")
        return Changed(rows, _Named(where, classes), dtype=np.int64, names=names_of(rows))
    if rows.dtype.kind == "f":
        notes.append(f"y holds labels as {rows.dtype}; they are read as integers")
        return Changed(rows, _Whole(where), dtype=np.int64, names=names_of(rows))
    same: Rows = rows
    return same


def enum_names(dataset: Any) -> tuple[str, ...]:
    """The names of an enumeration whose values are 0, 1, …; none of another type, or of booleans."""
    values = h5py.check_enum_dtype(dataset.dtype) if isinstance(dataset, h5py.Dataset) else None
    if values is None or sorted(values.values()) != list(range(len(values))):
        return ()
    return tuple(sorted(values, key=values.__getitem__))


def _from_one_hot(where: str, rows: Any, classes: Sequence[str]) -> Rows:
    if len(rows.shape) < 2 or rows.shape[-1] != len(classes) or rows.dtype.kind not in "biuf":
        raise DataError(
            f"{where}/y has the type {rows.dtype} and the shape {rows.shape}, but one-hot rows of {len(classes)} "
            f"classes are numbers of the shape (N, …, {len(classes)}). Correct data.y.layout, or the classes."
        )
    return Changed(rows, _Hot(where), shape=rows.shape[:-1], dtype=np.int64)


class _Named:
    """The place of each text among the names of the classes."""

    def __init__(self, where: str, classes: Sequence[str]) -> None:
        self._where, self._places = where, {name: place for place, name in enumerate(classes)}

    def __call__(self, rows: Array, target: Array, start: int) -> None:
        for place in np.ndindex(rows.shape):
            name = text(rows[place])
            if name not in self._places:
                near = nearest(str(name), self._places)
                raise DataError(
                    f"{self._where}/y[{_at(place, start)}] is {name!r}, which is not a class{near}; the classes are "
                    f"{listing(self._places)}. Correct it, or data.classes."
                )
            target[place] = self._places[name]


class _Whole:
    """Floats as integers."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __call__(self, rows: Array, target: Array, start: int) -> None:
        bad = ~(np.isfinite(rows) & (np.rint(rows) == rows) & (np.abs(rows) < 2.0**53))
        if bad.any():
            place = np.unravel_index(int(np.argmax(bad)), rows.shape)
            raise DataError(
                f"{self._where}/y[{_at(place, start)}] is {rows[place]}, but labels for classification are whole "
                'numbers 0, 1, …. Correct it; or, if y is a quantity, set the task to "regression" (data.task).'
            )
        np.copyto(target, rows, casting="unsafe")


class _Hot:
    """The place of the 1 in each row."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __call__(self, rows: Array, target: Array, start: int) -> None:
        bad = ((rows != 0).sum(axis=-1) != 1) | (rows.max(axis=-1, initial=0) != 1)
        if bad.any():
            place = np.unravel_index(int(np.argmax(bad)), bad.shape)
            raise DataError(
                f"{self._where}/y[{_at(place, start)}] is {rows[place]}, which isn't a one-hot row: expected a single "
                "1, and 0 elsewhere. Correct it, or data.y.layout."
            )
        np.argmax(rows, axis=-1, out=target)


def _at(place: Sequence[Any], start: int) -> str:
    return ", ".join(map(str, (int(place[0]) + start, *map(int, place[1:]))))
