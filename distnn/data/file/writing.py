"""Writing data files: the arrays are checked, and the file is written completely or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from distnn.data.file import checks
from distnn.data.file.atomic import hdf5_writer
from distnn.data.file.rows import bytes_of_one
from distnn.data.file.sealed import Sealed, seal
from distnn.errors import DataError, nearest
from distnn.outputs import new_file
from distnn.runtime import VERSION

#: The bytes of samples checked and written at a time, so that arrays mapped from disk need not fit in memory.
SLAB_BYTES = 16 * 1024 * 1024
NONE: Mapping[str, Sequence[str]] = MappingProxyType({})


@dataclass(frozen=True)
class About:
    """What the root of a data file says: the arguments of `write_data` of these names."""

    task: str
    classes: Sequence[str] = ()
    source: str = ""
    licence: str = ""


def write_data(
    path: str | Path,
    splits: Mapping[str, tuple[Any, Any] | Mapping[str, Any]],
    *,
    task: str,
    classes: Sequence[str] = (),
    scale: float | None = None,
    names: Mapping[str, Sequence[str]] = NONE,
    source: str = "",
    licence: str = "",
    force: bool = False,
) -> Path:
    """Write a data file, which gets its name once it is checked and on the disk; returns its path.

    Args:
        path: the file to write.
        splits: train and, optionally, validation and test, each with x (N, …) and y (N,) or (N, …), as a pair or by
            name, then perhaps with weight and mask (see `DataFile`): arrays, or anything that can be sliced like one (a
            memory map, an HDF5 dataset).
        task: ``classification``, ``regression``, ``segmentation`` (a label for each pixel) or ``language``.
        classes: for labels, the names in the order of the labels 0, 1, …; for a language, the tokens.
        scale: the factor by which x is to be multiplied when it is read, such as 1/255 for images of 8 bits; None: it
            is used as it is.
        names: of the features, for ``x``, and of the target columns, for ``y``: one for each place of the last axis.
        source: where the data come from; stored in the file.
        licence: their licence; stored in the file.
        force: replace an existing file.

    Raises:
        DataError: the arrays don't make a data file, ``path`` exists and ``force`` is not set, or the write failed.
            Nothing is left behind, and an existing file is unchanged.
    """
    return write_fields(path, splits, About(task, classes, source, licence), scale=scale, names=names, force=force)


def write_fields(
    path: str | Path,
    splits: Mapping[str, tuple[Any, Any] | Mapping[str, Any]],
    about: About,
    *,
    scale: float | None = None,
    names: Mapping[str, Sequence[str]] = NONE,
    missing: bool = False,
    force: bool = False,
) -> Path:
    """As `write_data`; with ``missing``, x may hold NaN where a value is missing."""
    path = Path(path)
    classes = checks.check_classes(path, checks.check_task(path, about.task), about.classes)
    _check_texts(path, [*classes, *(name for given in names.values() for name in given)])
    arrays = _check_splits(path, about.task, splits)
    attributes = _named(path, names, arrays["train"])
    attributes["x"] |= {} if scale is None else {"scale": checks.check_scale(path, "x", scale)}
    root = {"task": about.task, "source": about.source, "licence": about.licence, "created_by": f"distnn {VERSION}"}
    with new_file(path, force=force) as temporary, hdf5_writer(temporary) as file:
        file.attrs.update(root | ({"classes": list(classes)} if classes else {}))
        for split, fields in arrays.items():
            group = file.create_group(split)
            sealed = {
                name: Sealed(group, name, values.shape, values.dtype, attributes[name])
                for name, values in fields.items()
            }
            for start, slab in _slabs(fields):
                checked = slab | ({"x": np.where(np.isnan(slab["x"]), 0, slab["x"])} if missing else {})
                checks.check_values(path, split, start, checked, about.task, len(classes))
                for name, values in slab.items():
                    sealed[name].write(start, values)
            for dataset in sealed.values():
                dataset.seal()
        seal(file)
    return path


def _check_texts(path: Path, names: Iterable[str]) -> None:
    """DataError for a name that HDF5 can't hold."""
    for name in names:
        if "\0" in name or name.encode(errors="replace").decode() != name:
            raise DataError(f"{path}: the name {name[:80]!r} holds a character that isn't of a text; take it out.")


def _slabs(fields: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """The arrays a piece at a time, each with where it begins."""
    count, rows = fields["x"].shape[0], max(1, SLAB_BYTES // bytes_of_one(fields["x"]))
    for start in range(0, count, rows):
        yield start, {name: np.asarray(values[start : start + rows]) for name, values in fields.items()}


def pixel_scale(x: np.ndarray) -> float | None:
    """The factor that maps samples x (N, …) to 0..1 if they are images of 8 bits; else None."""
    return 1 / 255 if checks.of_pixels(x.dtype, x.shape[1:]) else None


def _check_splits(
    path: Path, task: str, splits: Mapping[str, tuple[Any, Any] | Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    for split in splits:
        if split not in checks.SPLITS:
            raise DataError(
                f"{path}: unknown split '{split}'{nearest(split, checks.SPLITS)}; expected train, validation, test."
            )
    checks.check_train(path, splits)
    arrays = {split: _fields(path, split, splits[split]) for split in checks.SPLITS if split in splits}
    for split, fields in arrays.items():
        checks.check_split(path, split, task, fields)
        checks.check_alike(path, split, fields, arrays["train"])
    return arrays


def _fields(path: Path, split: str, given: tuple[Any, Any] | Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of a split by name; DataError for an unknown field, or without x or y."""
    fields = given if isinstance(given, Mapping) else dict(zip(checks.NEEDED, given, strict=True))
    for name in fields:
        if name not in checks.FIELDS:
            raise DataError(
                f"{path}: unknown field `{split}/{name}`{nearest(name, checks.FIELDS)}; expected "
                f"{checks.listing(checks.FIELDS)}."
            )
    if missing := [name for name in checks.NEEDED if name not in fields]:
        raise DataError(f"{path}: {split} lacks {missing[0]}; found {checks.listing(fields)}.")
    return {name: _array(fields[name]) for name in checks.FIELDS if name in fields}


def _named(path: Path, names: Mapping[str, Sequence[str]], fields: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The attribute ``names`` of each field; DataError if there aren't as many as places of its last axis."""
    attributes: dict[str, dict[str, Any]] = {field: {} for field in fields}
    for field, given in names.items():
        if field not in fields:
            raise DataError(f"{path}: names of `{field}`{nearest(field, fields)}; expected names of x or of y.")
        places = fields[field].shape[1:][-1:] or (1,)
        if len(given) != places[0]:
            raise DataError(f"{path}: {len(given)} names for the {places[0]} places of the last axis of {field}.")
        attributes[field] = {"names": list(given)}
    return attributes


def _array(values: Any) -> Any:
    return values if hasattr(values, "dtype") and hasattr(values, "shape") else np.asarray(values)
