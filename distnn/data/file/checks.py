"""Checks of a data file's content: the same rules for a file that is read and for arrays that are written.

The functions take the file's path only to name it in their errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from distnn.data.file.attributes import text, texts
from distnn.data.file.rows import names_of
from distnn.errors import DataError, nearest

#: The groups of a data file, in the order in which they are always listed.
SPLITS = ("train", "validation", "test")
#: What there must be of each sample, and what there may be.
NEEDED = ("x", "y")
FIELDS = (*NEEDED, "weight", "mask")
#: The tasks that a data file can have.
TASKS = ("classification", "regression", "language", "segmentation")


class Unsettled(DataError):
    """A data file of which it isn't known where its fields lie, or what they are for."""


def check_task(path: Path, task: object) -> str:
    """The task as text; DataError if it is missing or unknown."""
    expected = "expected 'classification', 'regression', 'segmentation' or 'language'"
    if task is None:
        raise Unsettled(f"{path} has no root attribute `task`: {expected}. {how_to_set('task', 'classification')}")
    name = text(task)
    if name not in TASKS:
        shown = str(task) if name is None else name
        raise DataError(
            f"{path} has the unknown task '{shown}'{nearest(shown, TASKS)}: {expected}, in its attribute `task`."
        )
    return name


def check_classes(path: Path, task: str, classes: object) -> tuple[str, ...]:
    """The class names of labels or the tokens of a language, at least one; empty for a regression."""
    if task == "regression":
        return ()
    names = () if classes is None else texts(classes)
    if names is None:
        raise DataError(
            f"{path} has the attribute `classes` as {classes!r}; expected a list of names, one for each class."
        )
    if not names:
        raise Unsettled(
            f"{path} is for {task} but names no classes: expected the root attribute `classes`, a list of "
            f"names in the order of the labels 0, 1, …. {how_to_set('classes', ['cat', 'dog'])}"
        )
    if task in ("classification", "segmentation") and len(names) == 1:
        raise DataError(
            f"{path} has one class only, {names[0]!r}; a {task} tells at least two apart. Name all in the root "
            f"attribute `classes`, also those of which there is no sample."
        )
    return names


def how_to_set(name: str, value: object) -> str:
    """Where a run file says it, and the line of h5py that sets a root attribute."""
    return f"Set data.{name} in the run file, or store it with h5py: file.attrs['{name}'] = {value!r}."


def check_train(path: Path, names: Iterable[str]) -> None:
    """DataError if the split that every file needs isn't among ``names``."""
    names = list(names)
    if "train" not in names:
        raise Unsettled(
            f"{path} has no group `train`{nearest('train', names)}: expected the groups train and, optionally, "
            f"validation and test, each with the datasets x and y; found {listing(names)}."
        )


def listing(names: Iterable[str]) -> str:
    """Names for a message: at most eight of them, or "nothing"."""
    names = list(names)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") if names else "nothing"


def check_split(path: Path, split: str, task: str, fields: Mapping[str, Any]) -> None:
    """Check the types and shapes of one split, without reading a value.

    Args:
        path: the file.
        split: train, validation or test.
        task: one of `TASKS`.
        fields: arrays or HDF5 datasets by name: x, samples (N, …), for a language (N, T), integer tokens; y, targets
            (N,) or, for a regression, (N, …); for a segmentation (N, H, W) or (N, D, H, W); for a language as x, the
            tokens that come next; perhaps weight and mask, one for each sample (N,), or for each target, of the shape
            of y.

    Raises:
        DataError: unsupported types, no sample, no feature, x and y of different length, labels that aren't integers.
    """
    x, y = fields["x"], fields.get("y")
    for name, values in fields.items():
        if values.dtype.kind not in "biuf":
            raise DataError(
                f"{path}: {split}/{name} has the type {values.dtype}, which distnn can't compute with; "
                "expected numbers: an integer, float or boolean type."
            )
    if len(x.shape) < 2:
        raise DataError(
            f"{path}: {split}/x has the shape {x.shape}; expected (N, …), one row for each sample: "
            "a single feature has the shape (N, 1)."
        )
    if y is None:
        return _check_some(path, split, x)
    if hint := _reversed(task, x.shape, y.shape):
        raise DataError(f"{path}: {split}/x has the shape {x.shape} and {split}/y {y.shape}. {hint}")
    if len(y.shape) == 0 or x.shape[0] != y.shape[0]:
        raise DataError(
            f"{path}: {split}/x holds {x.shape[0]} samples but {split}/y has the shape {y.shape}; "
            "expected one target for each sample, in the same order."
        )
    if 0 in x.shape or 0 in y.shape:
        raise DataError(
            f"{path}: the split `{split}` is empty (x {x.shape}, y {y.shape}); expected at least one sample with at "
            "least one value. Leave the group out if there is no such data."
        )
    for name in FIELDS[len(NEEDED) :]:
        if name in fields and fields[name].shape not in (y.shape[:1], y.shape):
            raise DataError(
                f"{path}: {split}/{name} has the shape {fields[name].shape} but {split}/y {y.shape}; expected "
                f"{y.shape[:1]}, one number for each sample, or the shape of y, one for each target."
            )
    if task in ("classification", "segmentation"):
        _check_labels_type(path, split, task, y)
    if task == "segmentation":
        _check_pixels(path, split, x, y)
    if task == "language":
        _check_tokens(path, split, x, y)


def _check_some(path: Path, split: str, x: Any) -> None:
    if 0 in x.shape:
        raise DataError(f"{path}: the split `{split}` is empty (x {x.shape}); expected at least one sample.")


def _reversed(task: str, x: tuple[int, ...], y: tuple[int, ...]) -> str:
    """What to say if the samples are counted by the last numbers of the shapes, and not by the first; else empty."""
    samples = y[-1] if y else 0
    fits = len(y) > 0 and x[0] == y[0] and not (task == "classification" and x[0] == 1)
    turned = [name for name, shape in (("x", x), ("y", y)) if len(shape) > 1 and shape[-1] == samples != shape[0]]
    if fits or samples < 2 or not turned or any(samples not in (shape[0], shape[-1]) for shape in (x, y)):
        return ""
    only = ', or "samples_last" if only the samples stand last' if len(x) > 2 else ""
    return (
        "Their dimensions seem to be in reverse order, as MATLAB, Fortran, Julia and R write them: expected "
        f'(N, …), one row for each sample. Give layout = "reversed" for {" and ".join(turned)} in the run file{only}: '
        f'data.{turned[0]} = {{layout = "reversed"}}.'
    )


def _check_pixels(path: Path, split: str, x: Any, y: Any) -> None:
    if len(y.shape) < 2 or y.shape[1:] != x.shape[1 : len(y.shape)]:
        hint = " Are they one-hot? Write the number of the class instead." if len(y.shape) == len(x.shape) > 3 else ""
        raise DataError(
            f"{path}: {split}/y has the shape {y.shape} and {split}/x {x.shape}, but for a segmentation there is a "
            f"label for each pixel: expected (N, H, W) for images (N, H, W, C) or (N, H, W).{hint}"
        )


def _check_labels_type(path: Path, split: str, task: str, y: Any) -> None:
    if y.dtype.kind not in "biu":
        raise DataError(
            f"{path}: {split}/y has the type {y.dtype}, but labels for {task} are integers 0, 1, …; "
            "convert them, or set the task to 'regression'."
        )
    if len(y.shape) != 1 and task == "classification":
        raise DataError(
            f"{path}: {split}/y has the shape {y.shape}, but labels for classification have the shape (N,): "
            "one integer for each sample, not one-hot rows. If they are that, say so in the run file: "
            'data.y = {layout = "one_hot"}; with a label for each pixel the task is segmentation.'
        )


def _check_tokens(path: Path, split: str, x: Any, y: Any) -> None:
    for name, values in (("x", x), ("y", y)):
        if values.dtype.kind not in "iu":
            raise DataError(
                f"{path}: {split}/{name} has the type {values.dtype}, but tokens of a language are integers: the "
                "places 0, 1, … in the attribute `classes`."
            )
    if x.shape != y.shape:
        raise DataError(
            f"{path}: {split}/x has the shape {x.shape} but {split}/y {y.shape}; for a language, expected one shape: "
            "for each token of x the next one in y."
        )


def check_alike(path: Path, split: str, fields: Mapping[str, Any], first: Mapping[str, Any]) -> None:
    """DataError if a split has other fields than the ``first``, those of ``train``, or of another shape or type."""
    for name in FIELDS:
        if (name in fields) != (name in first):
            has, lacks = (split, "train") if name in fields else ("train", split)
            raise DataError(
                f"{path}: there is {has}/{name} but no {lacks}/{name}; expected the same fields in all splits. Add it, "
                f"with 1 for all that counts, or remove the other."
            )
    for name, mine in fields.items():
        if mine.shape[1:] != first[name].shape[1:]:
            raise DataError(
                f"{path}: {split}/{name} has the shape {mine.shape} but train/{name} {first[name].shape}; "
                "expected samples of one shape in all splits (all numbers but the first equal)."
            )
        here, there = names_of(mine), names_of(first[name])
        if here and there and here != there:
            raise DataError(
                f"{path}: {split}/{name} has the columns {listing(here)}, but train/{name} {listing(there)}; expected "
                f"the same in the same order. Say which are meant, and in which order, as data.{name}.columns."
            )
    x, first_x = fields["x"], first["x"]
    if x.dtype.newbyteorder("=") != first_x.dtype.newbyteorder("="):
        raise DataError(
            f"{path}: {split}/x has the type {x.dtype} but train/x {first_x.dtype}; expected one type in all splits, "
            "so that all are scaled alike."
        )


def of_pixels(dtype: np.dtype[Any], sample_shape: tuple[int, ...]) -> bool:
    """Whether samples are, as it seems, images of 8 bits, (H, W) or (H, W, C); counts in tables aren't."""
    return dtype == np.uint8 and len(sample_shape) in (2, 3)


def check_scale(path: Path, name: str, scale: Any) -> float:
    """The factor for integer samples as a float; DataError if it isn't one positive number."""
    value = np.asarray(scale)
    if value.size != 1 or value.dtype.kind not in "iuf" or not np.isfinite(value).all() or not (value > 0).all():
        raise DataError(f"{path}: the attribute `scale` of {name} is {scale!r}; expected one positive number.")
    return float(value.item())


def check_values(
    path: Path,
    split: str,
    start: int,
    fields: Mapping[str, np.ndarray],
    task: str,
    classes: int,
    ignore: int | None = None,
) -> None:
    """DataError for the first NaN, infinity, or label or token outside the classes, in a slab of a split.

    Args:
        path: the file.
        split: train, validation or test.
        start: where the slab begins in the split.
        fields: the slab's arrays by name, some or all: x, samples (n, …); y, targets (n,) or (n, …).
        task: one of `TASKS`.
        classes: how many there are; 0 for a regression.
        ignore: a label that may be there beside those of the classes.
    """
    without = left_out(fields) if "y" in fields else None
    for name, values in fields.items():
        # min and max propagate a NaN and need no array of flags: this runs on every sample that is read.
        if values.dtype.kind == "f" and values.size and not np.isfinite([values.min(), values.max()]).all():
            _refuse(path, f"{split}/{name}", values, start, ~np.isfinite(values), without if name == "y" else None)
    labels = {"regression": (), "language": ("y", "x")}.get(task, ("y",))
    for name, values in ((name, fields[name]) for name in labels if name in fields):
        if values.size and (int(values.min()) < 0 or int(values.max()) >= classes):
            bad = ((values < 0) | (values >= classes)) & (values != ignore)
            bad = _counting(bad, without if name == "y" else None)
            if bad.any():
                place, value = _first(bad, values, start)
                shift = ' If labels may be any integers, such as 1, 2, … or ±1, [transforms] y = ["shift_labels"] in '
                shift += "the run file takes them in ascending order for the classes."
                raise DataError(
                    f"{path}: {split}/{name}[{place}] is the label {value}, but there are {classes} classes: expected "
                    f"0..{classes - 1}. Correct the label, or the list of names in the attribute `classes`; or leave "
                    f"out all that have it by loss.ignore_label = {value}.{shift if task == 'classification' else ''}"
                )
    _check_weights(path, split, start, fields)


def left_out(fields: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Which targets a mask or a weight of 0 leaves out: (n,) or of the shape of y; None if there is neither."""
    found = None
    for name in FIELDS[len(NEEDED) :]:
        if name in fields:
            none, y = fields[name] == 0, fields["y"]
            if found is not None and none.shape != found.shape:
                none, found = (each.reshape(each.shape + (1,) * (y.ndim - each.ndim)) for each in (none, found))
            found = none if found is None else none | found
    return found


def _counting(bad: np.ndarray, without: np.ndarray | None) -> np.ndarray:
    """What is bad of all that isn't left out."""
    return bad if without is None else bad & ~without.reshape(without.shape + (1,) * (bad.ndim - without.ndim))


def _refuse(path: Path, name: str, values: np.ndarray, start: int, bad: np.ndarray, without: np.ndarray | None) -> None:
    """Refuse numbers that aren't finite, if one of them counts."""
    bad = _counting(bad, without)
    if bad.any():
        place, value = _first(bad, values, start)
        missing = {
            "x": ' If it is missing, x = ["fill"] in [transforms] puts a number in its place.',
            "y": (
                ' If it is missing, data.missing_targets = "mask" leaves out all that are NaN; or a dataset `mask` '
                "beside y, with 0 in its place, does."
            ),
        }.get(name.rpartition("/")[2] if np.isnan(value) else "", "")
        raise DataError(
            f"{path}: {name}[{place}] is {value}, and one such value would turn every parameter into NaN; "
            f"expected finite numbers. Repair or remove that sample.{missing}"
        )


def _check_weights(path: Path, split: str, start: int, fields: Mapping[str, np.ndarray]) -> None:
    """Refuse weights below 0, and masks of other numbers than 0 and 1."""
    for name, most, expected in (
        ("weight", np.inf, "a number of at least 0"),
        ("mask", 1, "1 for what counts, else 0"),
    ):
        values = fields.get(name, np.empty(0))
        if values.size and (values.min() < 0 or values.max() > most or (name == "mask" and (values % 1).any())):
            place, value = _first(
                (values < 0) | (values > most) | ((values % 1 != 0) & (name == "mask")), values, start
            )
            raise DataError(f"{path}: {split}/{name}[{place}] is {value}; expected {expected}.")


def _first(bad: np.ndarray, values: np.ndarray, start: int) -> tuple[str, Any]:
    """The first bad value of a slab that begins at ``start``: its position in the split as text, and itself."""
    index = np.unravel_index(int(np.argmax(bad)), values.shape)
    return ", ".join(str(int(place)) for place in (index[0] + start, *index[1:])), values[index]
