"""Predictions in HDF5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from distnn.data.files import hdf5_writer, new_file
from distnn.ops.op import Array


def write_predictions(
    path: str | Path,
    predictions: Array,
    *,
    classes: Sequence[str] = (),
    about: Mapping[str, str] | None = None,
    force: bool = False,
) -> Path:
    """Write what a model predicts for each sample.

    Arguments:
        path: the file to write.
        predictions: for regression the outputs (N, …); for classification the probabilities (N, C), or (N, 1) of the
            second of two classes; for a language those of the next token at each step, (N, T, C).
        classes: the classes' names; empty for regression.
        about: attributes of the file.
        force: replace a file that is there.

    The file holds ``y_pred`` (N,) labels, ``probabilities`` (N, C) and the attribute ``classes``; for a language (N, T)
    and (N, T, C); for regression ``y_pred`` (N, …) alone.

    Raises:
        DataError: if the file exists and ``force`` isn't set, or it can't be written.
    """
    path = Path(path)
    with new_file(path, force=force) as temporary, hdf5_writer(temporary) as file:
        file.attrs.update(dict(about or {}))
        if classes:
            if predictions.shape[1:] == (1,) and len(classes) == 2:
                predictions = np.concatenate([1 - predictions, predictions], axis=1)
                labels = predictions[:, 1] >= 0.5  # the threshold counts as the second class
            else:
                labels = np.argmax(predictions, axis=-1)
            file["y_pred"] = labels.astype(np.int64)
            file["probabilities"] = predictions
            file.attrs["classes"] = list(classes)
        else:
            file["y_pred"] = predictions
    return path
