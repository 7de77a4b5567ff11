"""Files of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distnn.arrays import Array
from distnn.data.file.atomic import hdf5_writer
from distnn.data.file.sealed import Sealed, seal
from distnn.outputs import new_file


def datasets(predictions: Array, classes: Sequence[str]) -> dict[str, Array]:
    """The datasets of the file: ``y_pred`` and ``probabilities``.

    Arguments:
        predictions: for regression the outputs (N, …); for classification the probabilities (N, C), or those of the
            second of two classes (N, 1); for a language those of the next token at each step (N, T, C).
        classes: the classes' names; empty for regression.

    Returns:
        For classification ``y_pred`` (N,) labels and ``probabilities`` (N, C); for a language (N, T) and (N, T, C); for
        regression ``y_pred`` (N, …) alone.
    """
    if not classes:
        return {"y_pred": predictions}
    if predictions.shape[1:] == (1,) and len(classes) == 2:
        predictions = np.concatenate([1 - predictions, predictions], axis=1)
        labels = predictions[:, 1] >= 0.5  # a probability of exactly 0.5 counts as the second class
    else:
        labels = np.argmax(predictions, axis=-1)
    return {"y_pred": labels.astype(np.int64), "probabilities": predictions}


def attributes(classes: Sequence[str], about: Mapping[str, str]) -> dict[str, Any]:
    """The file's attributes: those in ``about``, and the ``classes`` if there are any."""
    return dict(about) | ({"classes": list(classes)} if classes else {})


def write_predictions(
    path: Path, predictions: Array, *, classes: Sequence[str], about: Mapping[str, str], force: bool
) -> None:
    """Write `datasets` and `attributes` into a file, with checksums and a fingerprint.

    Raises:
        DataError: if the file exists and ``force`` isn't set, or it can't be written.
    """
    with new_file(path, force=force) as temporary, hdf5_writer(temporary) as file:
        file.attrs.update(attributes(classes, about))
        for name, values in datasets(predictions, classes).items():
            sealed = Sealed(file, name, values.shape, values.dtype)
            sealed.write(0, values)
            sealed.seal()
        seal(file)
