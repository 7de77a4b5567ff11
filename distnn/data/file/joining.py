"""Several files that form one data set: the samples of each split follow each other in the order of their names."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distnn.data.file import checks
from distnn.data.file.alike import Pattern
from distnn.data.file.fields import NAMES, SPLIT
from distnn.data.file.index import Form, index
from distnn.data.file.many import GROUP, MOST_OPEN, Across, OpenFiles, rows_of
from distnn.errors import DataError

#: What files that are joined must agree in.
ALIKE = ("task", "classes", "held", "sample_shape", "target_shape", "x_dtype", "scale")


@dataclass(frozen=True)
class Joined:
    """What files form together.

    Attributes:
        first: the first of them, open, as a `distnn.data.file.reading.DataFile`.
        files: all of them.
        data: by split and field, what it is read from.
        group: what the cut of splits goes by, if there is one.
        notes: what is to be said once of how they are read.
        stamps: what tells the files from all others of this machine.
        digest: what tells them from others on any machine, as far as that is known without reading them; or empty.
    """

    first: Any
    files: OpenFiles
    data: dict[str, dict[str, Across]]
    group: Across | None
    notes: list[str]
    stamps: list[tuple[int, ...]]
    digest: str = ""


def several(path: Path, comm: Any = None) -> list[tuple[str, Path]]:
    """The files that match a pattern, in the order of their names, each with the split that its name says.

    Where the pattern has `SPLIT` in it, that stands for what a split may be called; else the split is empty. There are
    no files if ``path`` isn't a pattern.

    Arguments:
        path: the pattern.
        comm: the mpi4py communicator of ranks of which one looks for all.

    Raises:
        DataError: no file matches, or none that is for training, or one is for two splits.
    """
    if path.exists() or not (glob.has_magic(str(path)) or SPLIT in str(path)):
        return []
    found = _matching(path) if comm is None or comm.rank == 0 else []
    found = found if comm is None else comm.bcast(found)
    split_of: dict[str, str] = {}
    for split, name in found:
        if (other := split_of.setdefault(os.path.normpath(name), split)) != split:
            raise DataError(
                f"{path}: by this pattern, {name} is for {other} and for {split}; each file can be for one split only. "
                "Narrow the pattern."
            )
    if not any(split in ("", "train") for split, _ in found):
        pattern = str(path).replace(SPLIT, "train")
        raise DataError(
            f"No file matches the pattern {pattern} (looked in {Path.cwd()}); check it, or make data files with "
            "`distnn data`."
        )
    return found


def _matching(path: Path) -> list[tuple[str, Path]]:
    if SPLIT not in str(path):
        return [("", Path(name)) for name in sorted({*glob.glob(str(path), recursive=True)})]
    found = []
    for split, names in NAMES.items():
        each = [sorted({*glob.glob(str(path).replace(SPLIT, name), recursive=True)}) for name in names]
        found += [(split, Path(name)) for name in next(filter(None, each), [])]
    return found


def join(
    where: Path, named: Sequence[tuple[str, Path]], opened: Callable[[Path], Any], beat: Callable[[], object]
) -> Joined:
    """Join files of several samples each; every one is opened.

    Arguments:
        where: named in errors.
        named: the files, as `several` gives them.
        opened: opens one of them, as a `distnn.data.file.reading.DataFile`.
        beat: called after each file that was opened.

    Raises:
        DataError: they don't belong together, or one of them isn't good.
    """
    first, files = _begin(where, named, opened)
    counts: list[dict[str, int]] = []
    types: dict[str, np.dtype[Any]] = {}
    stamps: list[tuple[int, ...]] = []
    notes: list[str] = []
    for number, (split, path) in enumerate(named):
        part: Any = files[number]
        _check_splits(path, split, part.splits)
        counts.append({name: part.count(name) for name in part.splits})
        _widen(where, path, part, types)
        stamps += part.stamps
        beat()
        notes += part.notes
    return Joined(first, files, *_across(first, files, named, counts, types), notes, stamps)


def join_samples(
    where: Path,
    named: Sequence[tuple[str, Path]],
    opened: Callable[[Path], Any],
    datasets: Sequence[str],
    comm: Any,
    *,
    follow: bool,
    beat: Callable[[], object],
) -> Joined:
    """Join files of which each is one sample: only the first is opened, for all others are to be like it.

    What they hold is in an index, which the ranks make together if it isn't there.

    Arguments:
        where, named, opened, beat: as for `join`.
        datasets: the paths of the datasets that are read of each file.
        comm: the mpi4py communicator of the ranks; None for this one alone.
        follow: read other folders' files as well, where these refer to them.

    Raises:
        DataError: they don't belong together.
    """
    first, files = _begin(where, named, opened, Pattern(named[0][1], opened, follow=follow))
    _check_splits(first.path, "train", first.splits)
    found = index(files.paths, datasets, comm, follow=follow, beat=beat)
    usual = found.entries[0].form
    for path, entry in zip(files.paths, found.entries, strict=True):
        if entry.form != usual:
            raise DataError(
                f"{where}: {path} has {_differing(entry.form, usual)}, but {files.paths[0]} has "
                f"{_differing(usual, entry.form)}; each file is one sample (data.one_sample_files), of the same shape "
                "and type. Narrow the pattern, or make that file again."
            )
    folders = [os.stat(folder) for folder in dict.fromkeys(path.parent for path in files.paths)]
    stamps: list[tuple[int, ...]] = [(each.st_dev, each.st_ino, int(found.digest, 16)) for each in folders]
    data = _across(first, files, named, [{"train": 1}] * len(named), {})
    return Joined(first, files, *data, first.notes, stamps, found.digest)


def _begin(
    where: Path, named: Sequence[tuple[str, Path]], opened: Callable[[Path], Any], pattern: Pattern | None = None
) -> tuple[Any, OpenFiles]:
    """The first file, and all of them, of which each that is opened is compared with it."""
    first = opened(named[0][1])

    def alike(path: Path) -> Any:
        if pattern and (sample := pattern.opened(path)):
            return sample
        part = opened(path)
        for what in ALIKE:
            here, there = getattr(part, what), getattr(first, what)
            if here != there:
                part.close()
                raise DataError(
                    f"{where}: {path} has {what} {here}, but {first.path} has {there}; files that are joined must "
                    "agree in it. Narrow the pattern, or make the files again."
                )
        for field in first.held:
            if (here := part.names(field)) and (there := first.names(field)) and here != there:
                part.close()
                raise DataError(
                    f"{where}: {path} has the columns {checks.listing(here)} in {field}, but {first.path} has "
                    f"{checks.listing(there)}; expected the same in the same order. Say which are meant, and in which "
                    f"order, as data.{field}.columns, or make the files again."
                )
        return part

    return first, OpenFiles([path for _, path in named], alike, MOST_OPEN - 1)


def _widen(where: Path, path: Path, part: Any, types: dict[str, np.dtype[Any]]) -> None:
    """Make the type of each field hold those of a file, too.

    Raises:
        DataError: no type of the same kind does.
    """
    for split in part.splits:
        for field, rows in part.rows(split).items():
            own = rows.dtype.newbyteorder("=")
            before = types.get(field, own)
            both = types[field] = np.result_type(before, own)
            if len({each.kind.replace("u", "i") for each in (before, own, both)}) > 1:
                raise DataError(
                    f"{where}: {path} has {field} of the type {own}, but files before it have {before}; expected one "
                    "type. Narrow the pattern, or make the files again."
                )


def _across(
    first: Any,
    files: OpenFiles,
    named: Sequence[tuple[str, Path]],
    counts: Sequence[Mapping[str, int]],
    types: Mapping[str, np.dtype[Any]],
) -> tuple[dict[str, dict[str, Across]], Across | None]:
    """By split and field what is read of the files, and what the cut of splits goes by."""
    data: dict[str, dict[str, Across]] = {}
    group: Across | None = None
    for split in dict.fromkeys((*checks.SPLITS, *first.splits)):
        own = "train" if named[0][0] else split  # what the split is called in the files
        numbers = [number for number, (name, _) in enumerate(named) if name in ("", split) and own in counts[number]]
        if not numbers:
            continue
        which, lengths = np.array(numbers), np.array([counts[number][own] for number in numbers])

        def across(field: str) -> Across:
            like = rows_of(files[int(which[0])], own, field)  # noqa: B023
            return Across(files, which, lengths, own, field, like, types.get(field))  # noqa: B023

        data[split] = {field: across(field) for field in first.held}
        if split == "train" and first.group is not None:
            group = across(GROUP)
    return data, group


def _check_splits(path: Path, split: str, splits: Sequence[str]) -> None:
    """Refuse a file that is one split by its name, and has several."""
    if split and tuple(splits) != ("train",):
        raise DataError(
            f"{path} has the splits {' and '.join(splits)} of its own, but by data.path, each file is of one split. "
            "Take {split} out of data.path, or name the datasets of one set of samples as data.x and data.y."
        )


def _differing(form: Form, other: Form) -> str:
    """The first dataset that differs in two forms, in words."""
    name = next(name for name in (form | other) if form.get(name) != other.get(name))
    if name not in form:
        return f"no dataset {name}"
    shape, dtype = form[name]
    return f"{name} {tuple(shape)} {dtype}"
