"""What a data file's structure says, without its values: task, classes, splits, and what their fields are read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from distnn.data.file import checks
from distnn.data.file.attributes import texts
from distnn.data.file.checks import Unsettled
from distnn.data.file.fields import USUAL, Description, Location
from distnn.data.file.guess import guess_in, meaning, seems_channels_first, shown
from distnn.data.file.labels import enum_names, labels
from distnn.data.file.locating import Datasets
from distnn.data.file.references import check_links
from distnn.data.file.rows import Rows, leaves
from distnn.data.file.views import as_column, reshaped
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
    splits = datasets.splits(description.fields)
    try:
        _check_train(path, file, description, splits)
        data = {split: _rows(datasets, description, splits[split]) for split in splits}
    except Unsettled as error:
        raise _with(error, guess_in(datasets, file.attrs)) from None
    y = data["train"]["y"]
    try:
        task = _task(path, file, description, datasets.notes)
        classes = _classes(path, file, task, description, y, datasets.notes)
    except Unsettled as error:
        known = {"task": task} if (task := description.task or file.attrs.get("task")) else {}
        raise _with(error, meaning(known, {}, y)) from None
    for split, fields in data.items():
        if task != "language":
            fields["x"] = as_column(fields["x"], "")
        if task == "segmentation" and len(fields["y"].shape) > 3 and fields["y"].shape[-1] == 1:
            fields["y"] = reshaped(fields["y"], fields["y"].shape[:-1])  # one channel
        if task in ("classification", "segmentation"):
            one_hot = description.fields["y"].layout == "one_hot"
            fields["y"] = labels(f"{path}: {split}", fields["y"], classes, datasets.notes, one_hot=one_hot)
        checks.check_split(path, split, task, fields)
        checks.check_alike(path, split, fields, data["train"])
    seems = description.fields["x"].layout is None and seems_channels_first(data["train"]["x"].shape[1:])
    scale = None if task == "language" else _scale(path, data)
    in_order = {split: data[split] for split in checks.SPLITS if split in data}
    group = _group(datasets, description, splits["train"])
    return Structure(task, classes, scale, in_order, datasets, group, seems)


def _with(error: Unsettled, proposal: Mapping[str, Any]) -> DataError:
    """The error, with the keys that may be meant."""
    keys = shown(proposal)
    return DataError(f"{error} A run file could say, if that is meant: {keys}." if keys else str(error))


def _task(path: Path, file: Any, description: Description, notes: list[str]) -> str:
    if description.task is None:
        return checks.check_task(path, file.attrs.get("task"))
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
    given = file.attrs.get("classes")
    return checks.check_classes(path, task, (enum_names(y) or None) if given is None else given)


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
    return {field: datasets.rows(field, location, name) for field, location in fields.items()}


def _group(datasets: Datasets, description: Description, name: str) -> Rows | None:
    if description.cut is None or not description.cut.group:
        return None
    try:
        return datasets.rows("group", Location((description.cut.group,)), name)
    except DataError as error:
        raise DataError(str(error)).at("data", "split", "group") from None


def _scale(path: Path, data: Mapping[str, Mapping[str, Any]]) -> float | None:
    scales = {split: _scale_of(path, f"{split}/x", fields["x"]) for split, fields in data.items()}
    for split, scale in scales.items():
        if scale != scales["train"]:
            raise DataError(
                f"{path}: {split}/x has the attribute scale={scale} but train/x scale={scales['train']}; "
                "expected the same in all splits, so that all are scaled alike."
            )
    return scales["train"]


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
