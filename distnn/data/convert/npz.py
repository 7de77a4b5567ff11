"""Numpy archives (.npz): arrays named by split, or one x and y to be split at random."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from distnn.data.convert.labels import named_by_number, numbered
from distnn.data.convert.splits import TENTHS, Shares, by_fraction
from distnn.data.file.writing import pixel_scale, write_data
from distnn.errors import DataError

#: Split → the endings of its arrays' names: x_train and y_train, x_val and y_val, ….
ENDINGS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
EXPECTED = (
    "expected x_train and y_train and, optionally, x_validation, y_validation, x_test and y_test; or x and y, to be "
    "split at random"
)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an archive by name, in lower case.

    Raises:
        DataError: the file is missing or damaged, isn't an archive, or holds Python objects.
    """
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise DataError(f"{path} is a .npy file with one array; {EXPECTED}: write it with numpy.savez.")
        with archive:
            return {name.lower(): archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise DataError(f"There is no archive {path}; check the path.") from error
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        objects = " Arrays of Python objects can hold code and are not read." if "pickle" in str(error) else ""
        raise DataError(
            f"{path} can't be read as a numpy archive ({error}).{objects} Write it again with numpy.savez, with arrays "
            "of numbers."
        ) from error


def find_splits(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The pairs x and y that an archive names by split; one pair for ``all`` if it holds one x and y.

    Raises:
        DataError: it has neither, or an x without a y.
    """
    splits = {}
    for split, endings in ENDINGS.items():
        for ending in endings:
            x, y = arrays.get(f"x_{ending}"), arrays.get(f"y_{ending}")
            if (x is None) != (y is None):
                raise DataError(
                    f"{path} has {'y' if x is None else 'x'}_{ending} without {'x' if x is None else 'y'}_{ending}; "
                    f"{EXPECTED}."
                )
            if x is not None and y is not None:
                splits[split] = (x, y)
    if "train" not in splits and not {"x", "y"} <= set(arrays):
        raise DataError(f"{path} holds the arrays {', '.join(arrays) or '(none)'}; {EXPECTED}.")
    return splits if "train" in splits else {"all": (arrays["x"], arrays["y"])}


def targets(path: Path, parts: list[np.ndarray], task: str | None) -> tuple[str, list[np.ndarray], tuple[str, ...]]:
    """The task, the targets of each split as a data file holds them, and the class names.

    Without a ``task``, integers, booleans and texts are classes, and floats are quantities.

    Raises:
        DataError: targets of a classification that aren't labels.
    """
    if task is None:
        task = "classification" if all(part.dtype.kind in "biuUS" for part in parts) else "regression"
    if task == "regression":
        return task, parts, ()
    flat = [_labels(path, part) for part in parts]
    if any(part.dtype.kind in "US" for part in flat):
        labels, classes = numbered([str(name) for part in flat for name in part.astype(str)])
        return task, np.split(labels, np.cumsum([len(part) for part in flat])[:-1]), classes
    return task, flat, named_by_number(path, *flat)


def _labels(path: Path, y: np.ndarray) -> np.ndarray:
    """One label for each sample: (N, 1) becomes (N,), and whole floats and booleans become integers."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(
            f"{path}: the labels have the shape {y.shape}; expected (N,), one label for each sample, not one-hot rows "
            "(numpy.argmax(y, axis=1) turns those into labels)."
        )
    if y.dtype.kind == "f":
        whole = np.isfinite(y) & (y == np.round(y))
        if not whole.all():
            index = int(np.argmin(whole))
            raise DataError(
                f"{path}: y[{index}] is {y[index]}, but labels for classification are integers 0, 1, …; "
                "for quantities to predict, choose the task 'regression'."
            )
        return y.astype(np.int64)
    return y.astype(np.uint8) if y.dtype.kind == "b" else y


def convert(
    output: str | Path,
    path: str | Path,
    *,
    task: str | None = None,
    cutting: Shares = TENTHS,
    force: bool = False,
) -> Path:
    """Make a data file of a numpy archive.

    Args:
        path: the archive, with x_train, y_train, … or with x and y, in upper or lower case.
        task: classification or regression; None: integer, boolean and text targets are classes.
        cutting: how one x and y are split.
    """
    path = Path(path)
    arrays = read_npz(path)
    pairs = find_splits(path, arrays)
    if "all" not in pairs and cutting[:2] != (None, None):
        raise DataError(
            f"{path} names its own splits ({', '.join(pairs)}), so fractions for validation and test don't apply; "
            "leave --validation and --test out, or store one x and y."
        )
    task, parts, classes = targets(path, [y for _, y in pairs.values()], task)
    pairs = {name: (x, y) for (name, (x, _)), y in zip(pairs.items(), parts, strict=True)}
    if "all" in pairs:
        pairs = by_fraction(path, *pairs["all"], task=task, how=cutting)
    scale, source = pixel_scale(pairs["train"][0]), f"numpy archive {path.name}"
    return write_data(output, pairs, task=task, classes=classes, scale=scale, source=source, force=force)
