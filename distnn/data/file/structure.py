"""What a data file's structure says, without its values: task, classes, splits, and what their fields are read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from distnn.data.file import checks
from distnn.data.file.attributes import texts
from distnn.data.file.checks import Unsettled
from distnn.data.file.fields import USUAL, Description, Location, Purpose
from distnn.data.file.guess import guess_in, meaning, seems_channels_first, shown
from distnn.data.file.labels import enum_names, labels
from distnn.data.file.locating import Datasets
from distnn.data.file.references import check_links
from distnn.data.file.rows import Rows, leaves
from distnn.data.file.using import located, match_classes, match_names, match_scale, match_shape, match_targets
from distnn.data.file.views import Changed, as_column, reshaped
from distnn.errors import DataError


@dataclass(frozen=True)
class Structure:
    """What is known of an open file.

    Attributes:
        task, classes, scale: as in `DataFile`.
        data: by split and field, what it is read from.
        datasets: those of the file.
        group: what the cut of splits goes by; None without one.
        channels_first: whether the samples look like images whose channels come first, and nobody said how they stand.
    """

    task: str
    classes: tuple[str, ...]
    scale: float | None
    data: Mapping[str, Mapping[str, Rows]]
    datasets: Datasets
    group: Rows | None
    channels_first: bool


def structure(path: Path, file: Any, description: Description, *, follow: bool) -> Structure:
    """The structure of an open file.

    Arguments:
        path: of the file.
        file: it, as h5py opens it.
        description: what the user says of it.
        follow: whether other folders' files may be read.

    Raises:
        DataError: what is asked for isn't there, or doesn't make a data set.
    """
    check_links(path, file, follow=follow)
    datasets = Datasets(path, file, follow=follow, whole=description.one_sample_files)
    if description.purpose:
        task, classes, data = _used(path, file, datasets, description, description.purpose)
    else:
        task, classes, data = _for_training(path, file, datasets, description)
    first = next(iter(data.values()))["x"]
    seems = description.fields["x"].layout is None and seems_channels_first(first.shape[1:])
    scale = None if task == "language" else _scale(path, data, description.purpose, datasets.notes)
    group = _group(datasets, description)
    return Structure(task, classes, scale, data, datasets, group, seems)


#: Task, classes, and by split and field what it is read from.
_Found = tuple[str, tuple[str, ...], dict[str, Mapping[str, Rows]]]


def _for_training(path: Path, file: Any, datasets: Datasets, description: Description) -> _Found:
    splits = datasets.splits(description.fields)
    try:
        _check_train(path, file, description, splits)
        data = {split: _rows(datasets, description, splits[split]) for split in checks.SPLITS if split in splits}
    except Unsettled as error:
        raise _with(error, guess_in(datasets, file.attrs)) from None
    y = data["train"]["y"]
    try:
        task = _task(path, file, description, datasets.notes)
        classes = _classes(path, file, task, description, y, datasets.notes)
    except Unsettled as error:
        known = {"task": task} if (task := description.task or file.attrs.get("task")) else {}
        raise _with(error, meaning(known, {}, y)) from None
    found: dict[str, Mapping[str, Rows]] = {}
    for split, fields in data.items():
        if enum_names(fields["y"]) not in ((), enum_names(y)):
            raise DataError(
                f"{path}: {split}/y has the type of an enumeration of {checks.listing(enum_names(fields['y']))}, but "
                f"train/y has {checks.listing(enum_names(y)) or 'none'}; expected the same in all splits."
            )
        found[split] = _prepared(path, split, task, classes, description, fields, datasets.notes)
        checks.check_alike(path, split, found[split], found["train"])
    return task, classes, found


def _with(error: Unsettled, proposal: Mapping[str, Any]) -> DataError:
    """The error, with the keys that may be meant."""
    keys = shown(proposal)
    return DataError(f"{error} A run file could say, if that is meant: {keys}." if keys else str(error))


def _used(path: Path, file: Any, datasets: Datasets, description: Description, purpose: Purpose) -> _Found:
    """The one split of a file that a trained network is used on, matched by name with what it was trained on."""
    description, name = located(path, file, datasets, description, purpose)
    task, split, notes = _task(path, file, description, datasets.notes), purpose.split, datasets.notes
    where = f"{path}: {split}"
    fields = _rows(datasets, description, name)
    fields["x"] = match_names(where, "x", fields["x"], purpose.names.get("x", ()), notes)
    try:
        if task != purpose.task:
            raise DataError(f"{path} is for {task}, but the network was trained for {purpose.task}.")
        if "y" in fields:
            classes = _classes(path, file, task, description, fields["y"], notes)
            fields = dict(_prepared(path, split, task, classes, description, fields, notes))
            if task in ("classification", "segmentation"):
                fields["y"] = match_classes(where, fields["y"], classes, purpose.classes, notes)
            elif task == "regression":
                fields |= match_targets(where, fields, purpose.names.get("y", ()), notes)
                fields["y"] = match_shape(where, fields["y"], purpose.target_shape)
            else:
                purpose = replace(purpose, classes=classes)  # compared by who uses them
            return task, purpose.classes, {split: fields}
    except DataError as error:
        if purpose.answers:
            raise
        notes.append(f"what is to be predicted, in {split}/y, is not used: {error}")
    alone = _prepared(path, split, purpose.task, purpose.classes, description, {"x": fields["x"]}, notes)
    return purpose.task, purpose.classes, {split: alone}


def _prepared(
    path: Path,
    split: str,
    task: str,
    classes: tuple[str, ...],
    description: Description,
    fields: Mapping[str, Any],
    notes: list[str],
) -> Mapping[str, Rows]:
    """The fields of a split in the form in which they are read, checked."""
    found = dict(fields)
    if task != "language":
        found["x"] = as_column(found["x"], "")
    if task == "segmentation" and "y" in found and len(found["y"].shape) > 3 and found["y"].shape[-1] == 1:
        found["y"] = reshaped(found["y"], found["y"].shape[:-1])  # one channel
    if task in ("classification", "segmentation") and "y" in found:
        one_hot = description.fields["y"].layout == "one_hot"
        found["y"] = labels(f"{path}: {split}", found["y"], classes, notes, one_hot=one_hot)
    for name in {*found} - {*checks.NEEDED}:
        if "y" in found and len(found["y"].shape) == 1 and found[name].shape == (*found["y"].shape, 1):
            found[name] = reshaped(found[name], found["y"].shape)  # a column, as MATLAB has it
    if description.missing_targets and "y" in found:
        found["mask"] = _known(path, task, found)
    checks.check_split(path, split, task, found)
    return found


def _known(path: Path, task: str, fields: Mapping[str, Any]) -> Rows:
    """A mask of the targets that aren't NaN."""
    if task != "regression":
        raise DataError(
            f'{path}: data.missing_targets = "mask" is for a regression, whose targets may be NaN, but the task is '
            f"{task}; what has no label can have one of its own, which loss.ignore_label leaves out."
        ).at("data", "missing_targets")
    if "mask" in fields:
        raise DataError(
            f'{path}: data.missing_targets = "mask" makes a mask of the targets that are NaN, but there is one '
            f"already; remove the key."
        ).at("data", "missing_targets")
    return Changed(fields["y"], lambda rows, target, start: np.equal(rows, rows, out=target), dtype=np.bool_)


def _task(path: Path, file: Any, description: Description, notes: list[str]) -> str:
    if description.task is None:
        return checks.check_task(path, file.attrs.get("task", description.purpose and description.purpose.task))
    task = checks.check_task(path, description.task)
    stored = texts([file.attrs["task"]]) if "task" in file.attrs else (task,)
    if stored != (task,):
        notes.append(f'data.task = "{task}" is used, and not the attribute task = "{(stored or ("",))[0]}"')
    return task


def _classes(path: Path, file: Any, task: str, description: Description, y: Rows, notes: list[str]) -> tuple[str, ...]:
    """The names that were said, else those of the file's attribute, else of the labels' type."""
    said, stored = description.names(), texts(file.attrs.get("classes", ())) or ()
    if said and not (isinstance(description.classes, int) and len(stored) == len(said)):
        if stored not in ((), said):
            notes.append(f"data.classes is used, and not the attribute classes, which lists {checks.listing(stored)}")
        return checks.check_classes(path, task, said)
    of_training = description.purpose.classes if description.purpose else None
    given = file.attrs.get("classes", enum_names(y) or of_training)
    return checks.check_classes(path, task, given)


def _check_train(path: Path, file: Any, description: Description, splits: Mapping[str, str]) -> None:
    if all(description.fields[name] == USUAL[name] for name in USUAL):
        groups = [name for name in file if isinstance(file.get(name), h5py.Group)]
        there = ["train"] if splits.get("train") in groups else []
        checks.check_train(path, [*there, *(name for name in file if name != "train")])
    elif "train" not in splits:
        paths = [each for location in description.given.values() for each in location.of("train")]
        raise DataError(
            f"{path} has no split for training: there is nothing at {checks.listing(paths)}. Correct the paths in "
            "[data], in which {split} stands for train, validation and test."
        )


def _rows(datasets: Datasets, description: Description, name: str) -> dict[str, Rows]:
    """By field, what the split is read from that is called so."""
    fields = dict(description.fields)
    for field in checks.FIELDS:
        location = Location((f"{{split}}/{field}",))
        if field not in fields and datasets.has(location.of(name)[0]):
            fields[field] = location
    optional = ("y", "weight", "mask") if description.purpose and not description.purpose.answers else ()
    there = {
        field: location
        for field, location in fields.items()
        if field not in optional or all(datasets.has(path) for path in location.of(name))
    }
    return {field: datasets.rows(field, location, name) for field, location in there.items()}


def _group(datasets: Datasets, description: Description) -> Rows | None:
    if description.cut is None or not description.cut.group:
        return None
    name = datasets.splits(description.fields)["train"]
    try:
        return datasets.rows("group", Location((description.cut.group,)), name)
    except DataError as error:
        raise DataError(str(error)).at("data", "split", "group") from None


def _scale(
    path: Path, data: Mapping[str, Mapping[str, Any]], purpose: Purpose | None, notes: list[str]
) -> float | None:
    scales = {split: _scale_of(path, f"{split}/x", fields["x"]) for split, fields in data.items()}
    first = next(iter(scales))
    for split, scale in scales.items():
        if scale != scales[first]:
            raise DataError(
                f"{path}: {split}/x has the attribute scale={scale} but {first}/x scale={scales[first]}; "
                "expected the same in all splits, so that all are scaled alike."
            )
    if purpose and purpose.scale is not None:
        return match_scale(scales[first], data[first]["x"].dtype, purpose, notes)
    return scales[first]


def _scale_of(path: Path, name: str, rows: Rows) -> float | None:
    """The attribute ``scale`` of the datasets that rows are read from."""
    found = {
        checks.check_scale(path, name, leaf.attrs["scale"]) if "scale" in leaf.attrs else None for leaf in leaves(rows)
    }
    if len(found) > 1:
        raise DataError(
            f"{path}: the datasets that make up {name} have the attributes scale={checks.listing(map(str, found))}; "
            "expected the same in all of them."
        )
    return found.pop()
