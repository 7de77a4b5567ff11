"""Numpy archives (.npz): arrays named by split, or one of samples and one of targets, to be split at random."""

from __future__ import annotations

import re
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distnn.data.convert.labels import FEW_FLOATS, MOST_CLASSES, infer_task, listed, named_by_number, numbered
from distnn.data.convert.splits import SPLITS, TENTHS, Shares, by_fraction
from distnn.data.convert.table import Tell
from distnn.data.file import checks
from distnn.data.file.opening import check_file
from distnn.data.file.writing import About, pixel_scale, write_fields
from distnn.errors import DataError, nearest

#: What samples and targets are called, in small letters; with the name of a split before or behind, or without.
WORDS = {
    "x": ("x", "image", "images", "img", "imgs", "data", "features", "input", "inputs", "samples"),
    "y": ("y", "label", "labels", "target", "targets", "class", "classes"),
}
EXPECTED = (
    "expected names such as x_train and y_train, train_images and train_labels, or x and y alone, to be split at "
    "random; other names are given with --x and --y, such as --x '{split}_pixels'"
)
LAYOUTS = ("channels_first", "channels_last")
#: What numpy raises for archives that are damaged, or made to do harm, such as with arrays larger than any memory.
UNREADABLE = (
    ValueError,
    KeyError,
    EOFError,
    OSError,
    NotImplementedError,
    MemoryError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Naming:
    """Which arrays are the samples and the targets, and how they lie.

    Attributes:
        x: the name of the samples, with ``{split}`` for train, val or test; None: as they are usually called.
        y: the names of the targets, likewise; several are quantities to be predicted together.
        weight: the name of how much each sample counts, likewise; None: all count alike.
        layout: of images (N, C, H, W) or (N, H, W, C); None: the latter, unless it looks like the former.
    """

    x: str | None = None
    y: tuple[str, ...] = ()
    weight: str | None = None
    layout: str | None = None


USUAL = Naming()
Splits = dict[str, dict[str, np.ndarray]]


def read_npz(path: Path, naming: Naming, tell: Tell) -> Splits:
    """The fields x, y and perhaps weight of an archive by split; of one split ``all`` if it names no splits.

    Raises:
        DataError: the file is missing or damaged, isn't an archive, holds Python objects, or hasn't such arrays.
    """
    try:
        check_file(path, "a numpy archive")
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise DataError(f"{path} is a .npy file with one array; {EXPECTED}: write it with numpy.savez.")
        with archive:
            names = find(path, archive.files, naming)
            used = {name for fields in names.values() for several in fields.values() for name in several}
            if others := [name for name in archive.files if name not in used]:
                tell(f"arrays left out: {listed(others)}")
            return {
                split: {
                    field: _joined(path, {name: archive[name] for name in several}) for field, several in its.items()
                }
                for split, its in names.items()
            }
    except FileNotFoundError as error:
        raise DataError(f"There is no archive {path}; check the path.") from error
    except DataError:
        raise
    except UNREADABLE as error:
        objects = " Arrays of Python objects can hold code and are not read." if "pickle" in str(error) else ""
        raise DataError(
            f"{path} can't be read as a numpy archive ({str(error)[:200]}).{objects} Write it again with "
            "numpy.savez, with arrays of numbers."
        ) from error


def _joined(path: Path, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """One array as it is; several side by side (N, columns)."""
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    columns = {name: array[:, None] if array.ndim == 1 else array for name, array in arrays.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if any(array.ndim != 2 or len(array) != len(next(iter(columns.values()))) for array in columns.values()):
        raise DataError(f"{path}: targets of the shapes {shapes} can't be joined; expected (N,) or (N, columns) each.")
    return np.concatenate(list(columns.values()), axis=1)


def find(path: Path, names: Sequence[str], naming: Naming) -> dict[str, dict[str, tuple[str, ...]]]:
    """The names of the arrays of each field by split, or for ``all``.

    Raises:
        DataError: there are none, more than one where one was expected, or samples without targets.
    """
    wanted = {"x": (naming.x,), "y": naming.y or (None,)}
    wanted |= {} if naming.weight is None else {"weight": (naming.weight,)}
    found = {field: [_named(path, names, field, given) for given in several] for field, several in wanted.items()}
    there = {split for several in found.values() for splits in several for split in splits}
    splits: list[str] = [split for split in checks.SPLITS if split in there] if "train" in there else ["all"]
    for split in splits:
        lacking = [field for field, several in found.items() if not all(split in one for one in several)]
        if lacking and (split == "all" or len(lacking) == len(found)):
            raise DataError(f"{path} holds the arrays {listed(names) or '(none)'}; {EXPECTED}.")
        if lacking:
            has = next(one[split] for several in found.values() for one in several if split in one)
            raise DataError(f"{path} has {has} without {lacking[0]} of {split}; {EXPECTED}.")
    return {
        split: {field: tuple(one[split] for one in several) for field, several in found.items()} for split in splits
    }


def _named(path: Path, names: Sequence[str], field: str, given: str | None) -> dict[str, str]:
    """Split, or ``all``, → the name of its array of a field."""
    found: dict[str, str] = {}
    for name in names:
        split = _split_of(name, field) if given is None else _split_given(name, given)
        if split is None:
            continue
        if split in found:
            raise DataError(
                f"{path}: {found[split]} and {name} may both be {field} of {split}; say which with --{field}, such as "
                f"--{field} '{name}'."
            )
        found[split] = name
    if given is not None and not found:
        raise DataError(f"{path} has no array '{given}'{nearest(given, names)}; it holds {listed(names)}.")
    return found


def _split_of(name: str, field: str) -> str | None:
    """The split of an array with a usual name; None if it isn't one of that field.

    >>> _split_of("train_images", "x"), _split_of("yVal", "y"), _split_of("x", "x"), _split_of("extra", "x")
    ('train', 'validation', 'all', None)
    """
    text = re.sub(r"[^a-z0-9]", "", name.lower())
    if text in WORDS[field]:
        return "all"
    for word, split in SPLITS.items():
        if text.removeprefix(word) in WORDS[field] or text.removesuffix(word) in WORDS[field]:
            return split
    return None


def _split_given(name: str, given: str) -> str | None:
    if name == given:
        return "all"
    fitting = (split for word, split in SPLITS.items() if name.lower() == given.replace("{split}", word).lower())
    return next(fitting, None) if "{split}" in given else None


def targets(
    path: Path, parts: list[np.ndarray], task: str | None, tell: Tell
) -> tuple[str, list[np.ndarray], tuple[str, ...]]:
    """The task, the targets of each split as a data file holds them, and the class names.

    Without a ``task``, integers, booleans, texts and one-hot rows are classes, and other floats are quantities.

    Raises:
        DataError: targets of a classification that aren't labels, or that may be quantities as well.
    """
    parts = [part[:, 0] if part.ndim == 2 and part.shape[1] == 1 else part for part in parts]
    samples = sum(len(part) for part in parts if part.ndim)
    if task is None:
        task = _task(path, parts, samples)
    if task == "regression":
        return task, parts, ()
    if task == "segmentation":
        return task, *_pixels(path, parts, tell)
    if all(map(_one_hot, parts)):
        tell(f"y: rows with a single 1, as the {parts[0].shape[1]} classes 0..{parts[0].shape[1] - 1}")
        parts = [part.argmax(axis=1) for part in parts]
    flat = [_labels(path, part) for part in parts]
    stops = np.cumsum([len(part) for part in flat])[:-1]
    if any(part.dtype.kind in "US" for part in flat):
        labels, classes = numbered([str(name) for part in flat for name in part.astype(str)])
        return task, np.split(labels, stops), classes
    distinct, labels = np.unique(np.concatenate(flat), return_inverse=True)
    if distinct[0] == 0 and distinct[-1] < MOST_CLASSES and len(distinct) > 1:
        return task, flat, named_by_number(path, *flat)
    if not 1 < len(distinct) <= MOST_CLASSES:
        raise DataError(
            f"{path}: y holds {len(distinct)} different labels{f', {distinct[0]},' if len(distinct) == 1 else ''} in "
            f"{samples} samples; expected at least 2 and at most {MOST_CLASSES}."
        )
    names = tuple(map(str, distinct.tolist()))
    tell(f"y: the labels {listed(names)}, as {len(names)} classes of these names")
    return task, np.split(labels.reshape(-1), stops), names


def _pixels(path: Path, parts: list[np.ndarray], tell: Tell) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """The labels of pixels and the names of their classes: their numbers; for masks of 0 and 255, these two."""
    parts = [_whole(path, part) for part in parts]
    if wrong := [part for part in parts if part.dtype.kind not in "iu" or part.ndim < 2]:
        raise DataError(
            f"{path}: y has the type {wrong[0].dtype} and the shape {wrong[0].shape}; expected integers (N, H, W), a "
            "label for each pixel."
        )
    distinct = np.unique(np.concatenate([np.unique(part) for part in parts]))
    if distinct.tolist() == [0, 255]:
        tell("y: the labels 0 and 255, as 2 classes of these names")
        return [(part == 255).astype(np.uint8) for part in parts], ("0", "255")
    if 255 in distinct:
        tell(
            "y: the label 255 is taken for a class; if it marks pixels that don't count, a dataset mask leaves them out"
        )
    return parts, named_by_number(path, *parts)


def _task(path: Path, parts: list[np.ndarray], samples: int) -> str:
    """What targets suggest."""
    kinds = {part.dtype.kind for part in parts}
    if kinds & set("bUS") or all(map(_one_hot, parts)) or not kinds <= set("biuf"):
        return "classification"
    if any(part.ndim != 1 for part in parts):
        return "classification" if kinds <= set("iu") else "regression"
    distinct = np.unique(np.concatenate(parts))
    if kinds & {"f"} and (len(distinct) > FEW_FLOATS or not np.isfinite(distinct).all()):
        return "regression"
    return infer_task(f"{path}: y", list(map(str, distinct.tolist())), samples)


def _one_hot(y: np.ndarray) -> bool:
    """Whether each row (N, classes) has a single 1, and else 0."""
    if y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind not in "biuf":
        return False
    return bool(((y == 0) | (y == 1)).all() and (np.count_nonzero(y, axis=1) == 1).all())


def _labels(path: Path, y: np.ndarray) -> np.ndarray:
    """One label for each sample (N,): whole floats and booleans become integers."""
    if y.ndim != 1:
        raise DataError(
            f"{path}: the labels have the shape {y.shape}; expected (N,), one label for each sample, or rows with a "
            "single 1. For several quantities, or several labels of a sample, choose --task regression; for a label "
            "for each pixel, --task segmentation."
        )
    return _whole(path, y)


def _whole(path: Path, y: np.ndarray) -> np.ndarray:
    """Labels, of which whole floats and booleans become integers."""
    if y.dtype.kind == "f":
        whole = np.isfinite(y) & (y == np.round(y))
        if not whole.all():
            index = np.unravel_index(int(np.argmin(whole)), y.shape)
            raise DataError(
                f"{path}: y[{', '.join(map(str, index))}] is {y[index]}, but labels are integers 0, 1, …; for "
                "quantities to predict, choose the task 'regression'."
            )
        return y.astype(np.int64)
    return y.astype(np.uint8) if y.dtype.kind == "b" else y


def _laid_out(path: Path, splits: Splits, layout: str | None, tell: Tell) -> Splits:
    """The splits with the channels of x last."""
    shape = next(iter(splits.values()))["x"].shape
    first = len(shape) == 4 and shape[1] in (1, 3, 4) and shape[3] not in (1, 3, 4) and shape[2] > 4
    if first and layout is None:
        raise DataError(
            f"{path}: x has the shape {shape}, which looks like images (N, C, H, W); give --layout channels_first to "
            "have the channels moved behind, or --layout channels_last if these are not the channels."
        )
    if layout != "channels_first":
        return splits
    if len(shape) != 4:
        raise DataError(f"{path}: x has the shape {shape}; channels_first is for images (N, C, H, W).")
    moved = {split: fields | {"x": np.moveaxis(fields["x"], 1, -1)} for split, fields in splits.items()}
    tell(
        f"x: channels moved from the first place to the last: {shape[1:]} → {next(iter(moved.values()))['x'].shape[1:]}"
    )
    return moved


def _scale(x: np.ndarray, tell: Tell) -> float | None:
    """The factor that maps x to 0..1 if they are images of 8 bits, of more than 0 and 1."""
    scale = pixel_scale(x)
    if scale is not None and x.size and x.max() > 1:
        tell("x: images of 8 bits, to be multiplied by 1/255")
        return scale
    if x.dtype.kind in "iu" and x.ndim > 2 and x.size:
        tell(f"x: {x.dtype} from {x.min()} to {x.max()}, used as they are")
    return None


def convert(
    output: str | Path,
    path: str | Path,
    *,
    naming: Naming = USUAL,
    task: str | None = None,
    cutting: Shares = TENTHS,
    tell: Tell = str,
    force: bool = False,
) -> Path:
    """Make a data file of a numpy archive.

    Args:
        path: the archive.
        naming: which of its arrays are used, and how they lie.
        task: classification, regression or segmentation; None: integer, boolean, text and one-hot targets are classes.
        cutting: how one x and y are split.
        tell: called with a line for what may have been meant otherwise.
    """
    path = Path(path)
    splits = _laid_out(path, read_npz(path, naming, tell), naming.layout, tell)
    if "all" not in splits and cutting[:2] != (None, None):
        raise DataError(
            f"{path} names its own splits ({', '.join(splits)}), so fractions for validation and test don't apply; "
            "leave --validation and --test out, or store one x and y."
        )
    task = task or ("regression" if len(naming.y) > 1 else None)
    task, parts, classes = targets(path, [fields["y"] for fields in splits.values()], task, tell)
    splits = {name: fields | {"y": y} for (name, fields), y in zip(splits.items(), parts, strict=True)}
    if "all" in splits:
        splits = by_fraction(path, splits["all"], task=task, how=cutting)
    about, scale = About(task, classes, f"numpy archive {path.name}"), _scale(splits["train"]["x"], tell)
    names = {"y": naming.y} if len(naming.y) > 1 and parts[0].shape[1:] == (len(naming.y),) else {}
    return write_fields(output, splits, about, scale=scale, names=names, force=force)
