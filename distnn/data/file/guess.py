"""Which datasets of a file could be its samples and targets, where nothing says so: a proposal, for users to check."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from distnn.arrays import Array
from distnn.data.file import foreign
from distnn.data.file.attributes import text
from distnn.data.file.fields import NAMES, SPLIT, Location
from distnn.data.file.labels import enum_names
from distnn.data.file.locating import Datasets
from distnn.data.file.opening import damaged, open_file
from distnn.data.file.rows import Rows
from distnn.errors import DataError

Table = dict[str, Any]

#: What samples and targets are often called.
SAMPLES = {"x", "data", "image", "images", "img", "imgs", "input", "inputs", "feature", "features", "samples"}
TARGETS = {"y", "label", "labels", "target", "targets", "class", "output", "outputs", "truth", "gt", "mask", "masks"}
#: A word for the training split, not within another word.
_TRAIN = re.compile(rf"(?i)(?<![a-z0-9])({'|'.join(NAMES['train'])})(?![a-z0-9])")
_OTHERS = re.compile(rf"(?i)(?<![a-z0-9])({'|'.join(NAMES['validation'] + NAMES['test'])})(?![a-z0-9])")
#: So many targets are looked at, and so many different ones may be classes.
LOOKED, CLASSES = 1_000_000, 100
#: So many datasets are compared with each other.
COMPARED = 100
#: Images have at most so many channels, and at least so many pixels each way, if channels seem to come first.
CHANNELS, PIXELS = 4, 8


class _Candidate(NamedTuple):
    """A dataset, by its path in the run file, its name in the file, and its form."""

    path: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def is_text(self) -> bool:
        """Whether it holds texts."""
        return self.dtype.kind == "S" or h5py.check_string_dtype(self.dtype) is not None


def guess(path: Path, *, follow: bool = False) -> dict[str, Table]:
    """Keys of a run file that may be meant, by section: ``[data]`` x, y, task and classes; empty if nothing seems so.

    Raises:
        DataError: it is no HDF5 file, or damaged.
    """
    with open_file(path) as file:
        try:
            return guess_in(Datasets(path, file, follow=follow), file.attrs)
        except (OSError, RuntimeError, KeyError) as error:  # h5py's, where even the root can't be opened
            raise damaged(path, "its structure", error) from error


def guess_in(datasets: Datasets, attributes: Mapping[str, Any]) -> dict[str, Table]:
    """As `guess`, of an open file with these datasets and root attributes; empty too if they can't be read."""
    try:
        tables = [each for each in _candidates(datasets.all()) if each.dtype.names and len(each.shape) == 1]
        fields = _of_table(datasets, tables[0]) if len(tables) == 1 else _of_arrays(datasets)
        if not fields:
            return {}
        y, path = fields["y"], fields.pop("name")
        rows = datasets.rows("y", Location((path,), tuple(y.get("columns", ())), (), y.get("layout")), "")
        about = meaning(attributes, y, rows)
        if rows.dtype.kind in "SO" and about["data"].get("task") == "regression":
            return {}
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, DataError):
        return {}
    short = {name: keys["path"] if set(keys) == {"path"} else keys for name, keys in fields.items() if keys}
    return about | {"data": short | about["data"]}


def _candidates(datasets: Mapping[str, Any]) -> list[_Candidate]:
    """The datasets that are no single values, and of types that numpy has; the first of them."""
    found = []
    for name, each in datasets.items():
        with suppress(TypeError):
            if each.shape and math.prod(each.shape) > 1:
                found.append(_Candidate(name, name, each.shape, each.dtype))
    return found[:COMPARED]


def _of_arrays(datasets: Datasets) -> Table:
    """The likeliest pair of datasets."""
    usable = [each for each in _candidates(datasets.all()) if not each.dtype.names]
    split = [each._replace(path=_TRAIN.sub(SPLIT, each.name, count=1)) for each in usable if _TRAIN.search(each.name)]
    places = split or [each for each in usable if not _OTHERS.search(each.name)]
    pairs = [(x, y) for x in places for y in places if x is not y and _score(x, y)]
    if not pairs:
        return {}
    x, y = max(pairs, key=lambda pair: _score(*pair))
    found: Table = {
        field: {} if each.path == f"{SPLIT}/{field}" else {"path": each.path} for field, each in (("x", x), ("y", y))
    }
    if _turned(x, y):
        found["x"]["layout"] = "reversed"
        if len(y.shape) > 1 and y.shape[0] == 1:
            found["y"]["layout"] = "reversed"
    elif seems_channels_first(x.shape[1:]):
        found["x"]["layout"] = "channels_first"
    return found | {"name": y.name}


def _score(x: _Candidate, y: _Candidate) -> int:
    """How likely two datasets are samples and their targets; 0 if they can't be."""
    numbers = x.dtype.kind in "biuf" and (y.dtype.kind in "biuf" or y.is_text)
    if not numbers or math.prod(x.shape) < math.prod(y.shape) or len(y.shape) > len(x.shape):
        return 0
    if x.shape[0] != y.shape[0] and not _turned(x, y):
        return 0
    words = _word(x.path), _word(y.path)
    named = 4 * (words[0] in SAMPLES) + 4 * (words[1] in TARGETS) - 4 * (words[0] in TARGETS)
    return max(0, named + 2 * (len(x.shape) > 1) + (sum(side > 1 for side in y.shape) == 1))


def _turned(x: _Candidate, y: _Candidate) -> bool:
    """Whether the samples are counted by the last axis."""
    count = y.shape[-1] if y.shape[0] == 1 or len(y.shape) == 1 else y.shape[0]
    return len(x.shape) > 1 and x.shape[-1] == count != x.shape[0]


def _word(path: str) -> str:
    """The last word of a path, without what says the split."""
    words = [word for word in re.split(r"[/_.\-]", path.replace(SPLIT, "").lower()) if word and word != "set"]
    return words[-1] if words else ""


def _of_table(datasets: Datasets, table: _Candidate) -> Table:
    """Of a table: the target is a column that is called so, or the last one, and all other numbers are features."""
    dataset = datasets.all()[table.name]
    framed = text(dataset.parent.attrs.get("pandas_type")) == "frame_table"
    place = table.name.removesuffix("/table") if framed else table.name
    known = {column: field for column, (field, _) in foreign.table_columns(dataset).items() if column != "index"}
    target = ([column for column in known if column.lower() in TARGETS] or list(known))[-1]
    features = [each for each, field in known.items() if each != target and table.dtype[field].base.kind in "biuf"]
    x, y = {"path": place, "columns": features}, {"path": place, "columns": [target]}
    return {"x": x, "y": y, "name": table.name} if features else {}


def meaning(attributes: Mapping[str, Any], y: Table, rows: Rows) -> dict[str, Table]:
    """The task and the classes, as far as a file's attributes don't say them, by section.

    Arguments:
        y: the keys of y, which may get a layout.
        rows: what it is read from, of the training split.
    """
    task, values = text(attributes.get("task")), _some(rows)
    if values.ndim == 2 and 1 in values.shape:
        values = values.reshape(-1)
    elif values.ndim > 3 and values.shape[-1] == 1:
        values = values.reshape(values.shape[:-1])
    enumerated = list(enum_names(rows))
    classes = None if task == "regression" else enumerated or _classes(y, values)
    meant = ("segmentation" if values.ndim > 2 else "classification") if classes else "regression"
    found: dict[str, Table] = {"data": {} if task else {"task": meant}}
    if classes and "classes" not in attributes and not enumerated:
        found["data"]["classes"] = classes
    if isinstance(classes, list) and values.dtype.kind in "iuf" and not enumerated:
        found["transforms"] = {"y": ["shift_labels"]}
    return found


def _some(rows: Rows) -> Array:
    """The first rows, whole."""
    kind = rows.dtype if rows.dtype.kind == "O" else rows.dtype.newbyteorder("=")
    count = max(1, LOOKED // max(1, math.prod(rows.shape[1:])))
    values = np.empty((min(count, rows.shape[0]), *rows.shape[1:]), kind)
    rows.read_direct(values, slice(0, len(values)))
    return values


def shown(sections: Mapping[str, Table]) -> str:
    """Keys as a run file has them, on one line."""
    return "; ".join(f"[{name}] {_pairs(keys)}" for name, keys in sections.items() if keys)


def _pairs(keys: Table) -> str:
    return ", ".join(f"{key} = {_shown(value)}" for key, value in keys.items())


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + _pairs(value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _classes(y: Table, values: Array) -> int | list[str] | None:
    """The classes that targets seem to be of, by name or number; None if they seem to be quantities."""
    if values.dtype.kind in "SO":
        names = sorted({text(each) or "" for each in values.reshape(-1).tolist()})
        return names if len(names) <= min(CLASSES, values.size - 1) else None  # names of things occur once each
    if values.ndim == 2 and values.shape[1] <= CLASSES and _one_hot(values):
        y["layout"] = "one_hot"
        return int(values.shape[1])
    integers = values.dtype.kind in "biu"
    if values.ndim == 2 or (values.ndim > 2 and not integers):
        return None
    different = np.unique(values)
    few = len(different) <= min(CLASSES, values.size // (2 if integers else 10))
    if not few or len(different) < 2 or not np.isfinite(different).all() or (different != np.rint(different)).any():
        return None
    if different[0] == 0 and different[-1] < 2 * len(different):
        return int(different[-1]) + 1
    return [f"{value:g}" for value in different]


def _one_hot(values: Array) -> bool:
    return bool(np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all())


def seems_channels_first(shape: tuple[int, ...]) -> bool:
    """Whether samples of a shape are more likely (C, H, W) than (H, W, C).

    >>> [seems_channels_first(shape) for shape in ((3, 32, 32), (32, 32, 3), (28, 28), (1, 28, 28), (3, 32, 3))]
    [True, False, False, True, False]
    """
    return len(shape) in (3, 4) and shape[0] <= CHANNELS < shape[-1] and min(shape[1:]) >= PIXELS
