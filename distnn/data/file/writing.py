"""Writing a data file: checked, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distnn.data.file import checks
from distnn.data.file.files import hdf5_writer, new_file
from distnn.data.file.hdf5 import bytes_of_one
from distnn.errors import DataError, nearest

#: A chunk holds whole samples, as many as fit: few enough bytes for HDF5's chunk cache (1 MiB), enough for one request.
CHUNK_BYTES = 512 * 1024
#: Samples are checked and written this many bytes at a time, so that arrays mapped from disk need not fit in memory.
SLAB_BYTES = 16 * 1024 * 1024


def write_data(
    path: str | Path,
    splits: Mapping[str, tuple[Any, Any]],
    *,
    task: str,
    classes: Sequence[str] = (),
    scale: float | None = None,
    source: str = "",
    licence: str = "",
    force: bool = False,
) -> Path:
    """Write a data file: checked, on disk, and only then under its name.

    Args:
        path: the file to write.
        splits: train and, where wanted, validation and test, each with x (N, …) and y (N,) or (N, …): arrays, or
            anything that slices like one (a memory map, an HDF5 dataset).
        task: ``classification``, ``regression`` or ``language``.
        classes: for a classification, the names in the order of the labels 0, 1, …; for a language, the tokens.
        scale: what x is to be multiplied with when it is read; None leaves it to its type (see `DataFile`).
        source: where the data come from, kept in the file.
        licence: on what terms, kept in the file.
        force: replace a file that is already there.

    Returns:
        The path.

    Raises:
        DataError: the arrays don't make a data file, ``path`` exists and ``force`` is not set, or the write failed.
            Nothing is left behind, and a file that was there is unchanged.
    """
    path = Path(path)
    names = checks.check_classes(path, checks.check_task(path, task), classes)
    arrays = _check_splits(path, task, splits)
    factor = None if scale is None else checks.check_scale(path, "x", scale)
    with new_file(path, force=force) as temporary, hdf5_writer(temporary) as file:
        file.attrs.update({"task": task, "source": source, "licence": licence, "created_by": _creator()})
        if names:
            file.attrs["classes"] = list(names)
        for split, (x, y) in arrays.items():
            _write_split(path, file.create_group(split), split, x, y, len(names))
            if factor is not None:
                file[split]["x"].attrs["scale"] = factor
    return path


def _check_splits(path: Path, task: str, splits: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    for split in splits:
        if split not in checks.SPLITS:
            raise DataError(
                f"{path}: unknown split '{split}'{nearest(split, checks.SPLITS)}; expected train, validation, test."
            )
    checks.check_train(path, splits)
    arrays = {split: tuple(map(_array, splits[split])) for split in checks.SPLITS if split in splits}
    for split, (x, y) in arrays.items():
        checks.check_split(path, split, task, x, y)
        checks.check_alike(path, split, x, y, *arrays["train"])
    return {split: (x, y) for split, (x, y) in arrays.items()}


def _array(values: Any) -> Any:
    return values if hasattr(values, "dtype") and hasattr(values, "shape") else np.asarray(values)


def _write_split(path: Path, group: Any, split: str, x: Any, y: Any, classes: int) -> None:
    for name, values in (("x", x), ("y", y)):
        per_chunk = max(1, min(values.shape[0], CHUNK_BYTES // bytes_of_one(values)))
        chunks = (per_chunk, *values.shape[1:])
        group.create_dataset(name, shape=values.shape, dtype=values.dtype.newbyteorder("="), chunks=chunks)
    slab = max(1, SLAB_BYTES // bytes_of_one(x))
    for start in range(0, x.shape[0], slab):
        stop = min(start + slab, x.shape[0])
        samples, targets = np.asarray(x[start:stop]), np.asarray(y[start:stop])
        checks.check_values(path, split, start, samples, targets, classes)
        group["x"][start:stop], group["y"][start:stop] = samples, targets


def _creator() -> str:
    from distnn import __version__

    return f"distnn {__version__}"
