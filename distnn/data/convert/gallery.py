"""Which images there are, and what each shows: a folder for each class, or a table of names and labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from distnn.data.convert.csv import CSV, USUAL
from distnn.data.convert.labels import listed
from distnn.data.convert.splits import SPLITS
from distnn.errors import DataError, nearest

SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("png", "apng", "jpg", "jpeg", "jpe", "jfif", "bmp", "dib", "gif", "tif", "tiff", "webp", "avif"),
        *("jp2", "j2k", "ppm", "pgm", "pbm", "pnm", "tga"),
    )
)
#: The names of columns, if there are more than two.
NAMES = ("name", "file", "filename", "file_name", "image", "image_id", "path", "id")
LABELS = ("label", "class", "target", "category")


@dataclass(frozen=True)
class Gallery:
    """Images by split, each as its file and the texts of its labels; one split ``all`` where none are named.

    Attributes:
        splits: the images.
        targets: the names of the labels, if they have any.
        notes: what was left out, in a line each.
        groups: of each image, if images of one group are to stay in one split.
    """

    splits: Mapping[str, Sequence[tuple[Path, tuple[str, ...]]]]
    targets: tuple[str, ...] = ()
    notes: Sequence[str] = field(default_factory=list)
    groups: Mapping[Path, str] = field(default_factory=dict)


def by_folder(folder: Path) -> Gallery:
    """The images of a folder with a folder for each class, or with folders train, val, test of such folders.

    Raises:
        DataError: there is no such folder, or it has no folders with images.
    """
    children = _children(folder)
    named = {SPLITS[child.name.lower()]: child for child in children if child.name.lower() in SPLITS}
    others: list[Path] = []
    if "train" not in named:
        splits = {"all": _classes(children, others)}
    else:
        if len(named) < sum(child.name.lower() in SPLITS for child in children):
            raise DataError(f"{folder} has two folders for one split: {listed([child.name for child in children])}.")
        others += [child for child in children if child.name.lower() not in SPLITS]
        splits = {split: _classes(_children(child), others) for split, child in named.items()}
    others += [file for file in _files(folder) if not _hidden(file)]
    if not splits.get("all", splits.get("train")):
        images = [file for file in others if file.suffix.lower() in SUFFIXES]
        why = f"; it holds {len(images)} images itself" if images else ""
        raise DataError(
            f"{folder} has no folders with images{why}: expected a folder for each class, named after it, perhaps "
            "within folders train, val and test; or a table of names and labels, with --labels."
        )
    empty = [split for split, images in splits.items() if not images]
    notes = [f"{split}: no images in folders of classes; left out" for split in empty]
    if others:
        notes.append(f"left out, as no image of a class: {listed(_names(others))} (files and folders: {len(others)})")
    return Gallery({split: images for split, images in splits.items() if images}, notes=notes)


def pictures(folder: Path, beside: Path | None = None) -> Gallery:
    """All images below a folder, or below the folders train, val, test in it; but those below the folder ``beside``.

    Raises:
        DataError: there is no such folder, or it has no images.
    """
    splits: dict[str, list[tuple[Path, tuple[str, ...]]]] = {}
    others: list[Path] = []
    files = [path for path in _walk(folder) if not _hidden(path) and not (beside and path.is_relative_to(beside))]
    cut = any(SPLITS.get(child.name.lower()) == "train" for child in _children(folder))
    for path in files:
        split = SPLITS.get(path.relative_to(folder).parts[0].lower(), "") if cut else "all"
        if split and path.suffix.lower() in SUFFIXES:
            splits.setdefault(split, []).append((path, ()))
        else:
            others.append(path)
    if not splits.get("train" if cut else "all"):
        raise DataError(f"{folder} has no images{' for training' if cut else ''}; expected PNG, JPEG or the like.")
    notes = [f"left out, as no image of a split: {listed(_names(others))} (files: {len(others)})"] if others else []
    return Gallery(splits, notes=notes)


def by_table(folder: Path, table: Path, targets: Sequence[str], group: str | None = None) -> Gallery:
    """The images that a CSV table names, by their names in the folder, with or without their endings.

    Args:
        folder: where the images are.
        table: has a column of names, and columns of labels.
        targets: the columns of labels; if empty, the one that is called so, or is the only other one.
        group: the column of groups, such as patients, of which none may be in two splits.

    Raises:
        DataError: the table is damaged, its columns can't be told apart, or it names a file twice or one that isn't
            there.
    """
    file = CSV(table, USUAL)
    header = file.names()
    name, places = _columns(table, header, targets, group)
    groups: dict[Path, str] = {}
    there: dict[str, list[Path]] = {}
    for path in _walk(folder):
        if not _hidden(path):
            relative = path.relative_to(folder)
            for text in {str(relative), str(relative.with_suffix("")), path.name, path.stem}:
                there.setdefault(text, []).append(path)
    images: dict[Path, tuple[str, ...]] = {}
    with file.records() as records:
        next(records)
        for line, record in records:
            fields = record + [""] * (len(header) - len(record))
            labels = tuple(fields[place] for place in places)
            if not all(labels):
                raise DataError(f"{table}, line {line}: no label; expected a name and a label in each line.")
            found = there.get(os.path.normpath(fields[name]), [])
            if len(found) != 1:
                several = f"may be {found[0]} or {found[1]}" if found else f"is not in {folder}"
                raise DataError(f"{table}, line {line}: the image {fields[name]!r} {several}; correct the name.")
            if group is not None and not groups.setdefault(found[0], fields[header.index(group)]):
                raise DataError(f"{table}, line {line}: no {group}; expected the group of each image.")
            if images.setdefault(found[0], labels) != labels:
                raise DataError(f"{table}, line {line}: the image {fields[name]!r} has two labels.")
    if not images:
        raise DataError(f"{table} has a header but no line below it; expected a name and a label in each line.")
    unnamed = {path for paths in there.values() for path in paths if path.suffix.lower() in SUFFIXES} - set(images)
    notes = [f"images left out, that {table.name} doesn't name: {len(unnamed)}, {listed(_names(unnamed))}"]
    names = tuple(header[place] for place in places)
    return Gallery({"all": list(images.items())}, names, notes if unnamed else [], groups)


def _columns(
    table: Path, header: Sequence[str], targets: Sequence[str], group: str | None = None
) -> tuple[int, list[int]]:
    """The places of the names and of the labels."""
    for target in [*targets, *([] if group is None else [group])]:
        if target not in header:
            raise DataError(
                f"{table} has no column '{target}'{nearest(target, header)}; its columns are {listed(header)}."
            )
    left = [place for place, name in enumerate(header) if name not in (*targets, group)]
    names = left if len(left) == 1 else [place for place in left if header[place].lower() in NAMES]
    if not targets and len(left) == 2:
        return left[0], left[1:]
    labels = [header.index(target) for target in targets] or [
        place for place, name in enumerate(header) if name.lower() in LABELS
    ]
    if len(names) != 1 or (len(labels) != 1 and not targets):
        raise DataError(
            f"{table} has the columns {listed(header)}; expected two, the names and the labels, or one column called "
            f"{' or '.join(NAMES[:3])} and one called {' or '.join(LABELS[:3])}: name those of labels with --target."
        )
    return names[0], labels


def _classes(folders: Sequence[Path], others: list[Path]) -> list[tuple[Path, tuple[str, ...]]]:
    """The images below the folders of classes; what is no image is added to ``others``."""
    images: list[tuple[Path, tuple[str, ...]]] = []
    for folder in folders:
        for path in _walk(folder):
            if path.suffix.lower() in SUFFIXES and not _hidden(path):
                images.append((path, (folder.name,)))
            elif not _hidden(path):
                others.append(path)
    return images


def _children(folder: Path) -> list[Path]:
    return [child for child in _listed(folder, Path.is_dir) if not _hidden(child)]


def _files(folder: Path) -> list[Path]:
    return _listed(folder, Path.is_file)


def _listed(folder: Path, kind: Callable[[Path], bool]) -> list[Path]:
    """The folder's entries of a kind, sorted by name, so that the order isn't the disk's."""
    try:
        return sorted(child for child in folder.iterdir() if kind(child))
    except FileNotFoundError as error:
        raise DataError(f"There is no folder {folder}; check the path.") from error
    except OSError as error:
        raise DataError(f"{folder} can't be read: {error.strerror}.") from error


def _walk(folder: Path) -> list[Path]:
    """All files below a folder, sorted; links to folders below it aren't followed, which may lead in a circle."""

    def fail(error: OSError) -> None:
        raise DataError(f"{error.filename} can't be read: {error.strerror}.") from error

    _listed(folder, Path.is_file)  # refuses what is no folder
    return sorted(Path(root, name) for root, _, names in os.walk(folder, onerror=fail) for name in names)


def _hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name in ("Thumbs.db", "desktop.ini", "__MACOSX")


def _names(paths: Sequence[Path] | set[Path]) -> list[str]:
    return sorted({path.name for path in paths})
