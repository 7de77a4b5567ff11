"""The index of a data set of many files: what each file holds, so that not every one is opened at each start.

It lies beside the files as ``.distnn-index.json``: for each file its name, its size, when it was written, and a form,
which is the shapes and types of the datasets that are asked for. It holds data only, and is believed only of a file
whose size and time are those of now; who opens the file later finds out if even then it isn't so.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from distnn import outputs
from distnn.data.file.opening import damaged, named, open_file
from distnn.data.file.references import check_links
from distnn.errors import DataError

#: The name of an index in the folder of its files.
NAME = ".distnn-index.json"
FORMAT = "distnn index 1"

#: Shape and type of each dataset of a file, by its path.
Form = dict[str, tuple[list[int], str]]


class Entry(NamedTuple):
    """A file's size and time of writing (in ns since 1970), and its form."""

    size: int
    time: int
    form: Form


class Index(NamedTuple):
    """What is known of some files.

    Attributes:
        entries: of each, in their order.
        digest: a hash of their names, sizes and forms, the same on any machine.
    """

    entries: list[Entry]
    digest: str


def form_of(path: Path, datasets: Sequence[str], *, follow: bool = False) -> Form:
    """The form of a file, which is opened for it; without a dataset that it doesn't have.

    Raises:
        DataError: it can't be read, or refers to other files.
    """

    def read(file: Any) -> Form:
        found = {name: _dataset(path, file, name, follow=follow) for name in datasets}
        return {
            name: ([*dataset.shape], str(dataset.dtype.newbyteorder("=")))
            for name, dataset in found.items()
            if getattr(dataset, "shape", None) is not None
        }

    with open_file(path) as file:
        try:
            return named(path, read)(file)
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:  # all of them h5py's
            raise damaged(path, "its structure", error) from error


def _dataset(path: Path, place: Any, name: str, *, follow: bool) -> Any:
    """What is at a path in a file, or None; links are checked before they are followed."""
    for word in name.strip("/").encode().split(b"/"):
        if not isinstance(place, h5py.Group) or not place.id.links.exists(word):
            return None
        if place.id.links.get_info(word).type != h5py.h5l.TYPE_HARD:
            check_links(path, place, follow=follow)
        place = place[word]
    return place


def index(
    paths: Sequence[Path],
    datasets: Sequence[str],
    comm: Any = None,
    *,
    follow: bool = False,
    beat: Callable[[], object] = lambda: None,
) -> Index:
    """What these files hold: from the index beside them, and of those that it doesn't know by opening them.

    Arguments:
        paths: the files, the same on all ranks.
        datasets: the paths of the datasets in them that matter.
        comm: the mpi4py communicator of ranks that do it together, each for a part of the files; None for this alone.
        follow: read other folders' files as well, where these refer to them.
        beat: called after each file that was opened.

    Raises:
        DataError: a file can't be read; on every rank.
    """
    size, rank = (comm.size, comm.rank) if comm is not None else (1, 0)
    root = _Known(paths, datasets) if rank == 0 else None
    missing = _shared(comm, root and root.missing)
    mine: list[tuple[int, Form | str]] = []
    for number in missing[rank::size]:
        try:
            mine.append((number, form_of(paths[number], datasets, follow=follow)))
        except DataError as error:
            mine.append((number, str(error)))
            break
        beat()
    everyone = comm.gather(mine) if comm is not None else [mine]
    whole: Index = _shared(comm, root and root.completed(dict(each for part in everyone for each in part)))
    return whole


def _shared(comm: Any, value: Any) -> Any:
    """Rank 0's value, or the error that it raised instead, on every rank."""
    if comm is not None:
        value = comm.bcast(value)
    if isinstance(value, DataError):
        raise value
    return value


class _Known:
    """What is known of some files before any is opened, on the rank that reads and writes indexes."""

    def __init__(self, paths: Sequence[Path], datasets: Sequence[str]) -> None:
        self._paths, self._datasets = paths, list(datasets)
        self._entries: list[Entry | None] = []
        self.missing: list[int] | DataError = []
        known = {folder: _read(folder / NAME, self._datasets) for folder in {path.parent for path in paths}}
        try:
            status = [os.stat(path) for path in paths]
        except OSError as error:
            self.missing = DataError(f"{error.filename} can't be looked up: {error.strerror}.")
            return
        self._now = [(each.st_size, each.st_mtime_ns) for each in status]
        for path, now in zip(paths, self._now, strict=True):
            entry = known[path.parent].get(path.name)
            self._entries.append(entry if entry is not None and entry[:2] == now else None)
        self.missing = [number for number, entry in enumerate(self._entries) if entry is None]

    def completed(self, found: Mapping[int, Form | str]) -> Index | DataError:
        """The whole index, or the first error, once the missing files' forms were found; and it is written."""
        for number, form in sorted(found.items()):
            if isinstance(form, str):
                return DataError(form)
            self._entries[number] = Entry(*self._now[number], form)
        entries = [entry for entry in self._entries if entry is not None]
        if found:
            self._write(entries)
        hasher = hashlib.sha256()
        for path, entry in zip(self._paths, entries, strict=True):
            hasher.update(json.dumps([path.name, entry.size, entry.form], sort_keys=True).encode())
        return Index(entries, hasher.hexdigest()[:16])

    def _write(self, entries: list[Entry]) -> None:
        """Write the index of each folder; where that isn't allowed, the files are opened again at the next start."""
        folders: dict[Path, dict[str, Entry]] = {}
        for path, entry in zip(self._paths, entries, strict=True):
            folders.setdefault(path.parent, {})[path.name] = entry
        for folder, its in folders.items():
            path = folder / NAME
            before = _read(path, self._datasets).items()
            kept = {name: entry for name, entry in before if name not in its and (folder / name).is_file()}
            if path.is_symlink() or (path.exists() and not path.is_file()):
                continue  # elsewhere, or into a pipe, nothing is written for what others left there
            for left in folder.glob(f".{NAME}.*.tmp"):  # by a killed process; one that lives writes its own no more
                with suppress(OSError):
                    left.unlink()
            with suppress(DataError):
                outputs.write(path, _text(self._datasets, kept | its), force=True)


def _text(datasets: Sequence[str], entries: Mapping[str, Entry]) -> str:
    forms: dict[str, int] = {}
    files = {
        name: [entry.size, entry.time, forms.setdefault(json.dumps(entry.form), len(forms))]
        for name, entry in entries.items()
    }
    about = {"format": FORMAT, "datasets": datasets, "forms": [json.loads(form) for form in forms]}
    return json.dumps(about | {"files": files})


def _read(path: Path, datasets: Sequence[str]) -> dict[str, Entry]:
    """What an index says; nothing if it isn't there, is of other datasets, or isn't what an index is."""
    try:
        # A link is not followed, for it may lead out of the folder; nor is a pipe waited for.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
            table = json.loads(file.read()) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else {}
        if table["format"] != FORMAT or table["datasets"] != datasets:
            return {}
        forms = [_checked(form) for form in table["forms"]]
        return {
            str(name): Entry(_number(size), _number(time), forms[_number(form)])
            for name, (size, time, form) in table["files"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return {}


def _checked(form: Any) -> Form:
    return {str(name): ([_number(length) for length in shape], str(dtype)) for name, (shape, dtype) in form.items()}


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(value)
    return value
