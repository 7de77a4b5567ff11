"""Files of predictions: HDF5, or a table (CSV, Parquet, or arrays in an npz file), by the ending of the name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from distnn.arrays import Array
from distnn.data.convert.extras import needed
from distnn.data.file.atomic import hdf5_writer
from distnn.data.file.sealed import Sealed, seal
from distnn.data.tables import WRITERS, columns
from distnn.errors import DataError, nearest
from distnn.outputs import check, new_file

#: The endings of files that can be written.
HDF5 = (".h5", ".hdf5")
ENDINGS = (*HDF5, *WRITERS)


def check_ending(path: Path) -> str:
    """The ending of a file of predictions, in small letters.

    Raises:
        DataError: it isn't one of `ENDINGS`.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise DataError(
            f"{path}: predictions are written in the format that the file's ending names, and "
            f"{f'{ending!r} is none' if ending else 'there is none'}{nearest(ending, ENDINGS)}; expected one of "
            f"{', '.join(ENDINGS)}."
        )
    return ending


def check_output(path: Path, *, force: bool) -> None:
    """Refuse a file that can't be written, before there is the work of predicting.

    Raises:
        DataError: as `check_ending` and `distnn.outputs.check` do, or if a library is missing.
    """
    if check_ending(path) == ".parquet":
        needed("pyarrow", "tables")
    check(path, force=force)


def datasets(
    predictions: Array, classes: Sequence[str], numbers: Array | None = None, truth: Array | None = None
) -> dict[str, Array]:
    """What is written of predictions, by name; the one place where what a model computes becomes that.

    Arguments:
        predictions: for regression the outputs (N, …); for classification the probabilities (N, C), or those of the
            second of two classes (N, 1); for a language those of the next token at each step (N, T, C).
        classes: the classes' names; empty for regression.
        numbers: which sample of its split each is, or of those that the split was cut from; 0, 1, … if None.
        truth: what is to be predicted (N, …), where that is known: as in the data, but labels as the places of classes.

    Returns:
        ``row`` (N,), the ``numbers``; ``y_true``, where it is known; and for classification
        ``y_pred`` (N,) labels, ``probabilities`` (N, C) and ``class`` (N,), each label's name in UTF-8; for a language
        ``y_pred`` (N, T) and ``probabilities`` (N, T, C); for regression ``y_pred`` (N, …).
    """
    known = {"row": np.arange(len(predictions)) if numbers is None else numbers}
    if truth is not None:
        known["y_true"] = truth
    if not classes:
        return {"y_pred": predictions} | known
    if predictions.shape[1:] == (1,) and len(classes) == 2:
        predictions = np.concatenate([1 - predictions, predictions], axis=1)
    labels = np.argmax(predictions, axis=-1)  # the first of equal ones, as in accuracy and metrics
    found = {"y_pred": labels.astype(np.int64), "probabilities": predictions} | known
    if labels.ndim == 1:
        names = [name.encode() for name in classes]
        # Of one length: only such texts can be written by several ranks together.
        found["class"] = np.array(names, h5py.string_dtype("utf-8", max(1, *map(len, names))))[labels.astype(np.int64)]
    return found


def attributes(classes: Sequence[str], about: Mapping[str, str]) -> dict[str, Any]:
    """The file's attributes: those in ``about``, and the ``classes`` if there are any."""
    return dict(about) | ({"classes": list(classes)} if classes else {})


def write_predictions(
    path: Path,
    pieces: Sequence[Mapping[str, Array]],
    *,
    classes: Sequence[str],
    targets: Sequence[str] = (),
    about: Mapping[str, str],
    force: bool,
) -> None:
    """Write a file of predictions; an HDF5 file has checksums and a fingerprint.

    Arguments:
        path: the file, whose ending says in which format.
        pieces: one or more pieces of `datasets`, which follow each other.
        classes: the classes' names; empty for regression.
        targets: the names of what a regression predicts, if they are known.
        about: where the predictions come from; attributes of an HDF5 file, and metadata of a Parquet file.
        force: replace an existing file.

    Raises:
        DataError: if the file exists and ``force`` isn't set, its ending is unknown, the predictions are no table, a
            library is missing, or it can't be written.
    """
    ending = check_ending(path)
    if ending in HDF5:
        with new_file(path, force=force) as temporary:
            _write_hdf5(temporary, pieces, attributes(classes, about))
        return
    tables = [columns(path, piece, classes, targets) for piece in pieces]
    with new_file(path, force=force) as temporary:
        WRITERS[ending](temporary, tables, about)


def _write_hdf5(path: Path, pieces: Sequence[Mapping[str, Array]], about: Mapping[str, Any]) -> None:
    total = sum(len(piece["row"]) for piece in pieces)
    with hdf5_writer(path) as file:
        file.attrs.update(about)
        for name, first in pieces[0].items():
            sealed = Sealed(file, name, (total, *first.shape[1:]), first.dtype)
            start = 0
            for piece in pieces:
                sealed.write(start, piece[name])
                start += len(piece[name])
            sealed.seal()
        seal(file)
