"""What a data file takes from elsewhere, and what was never written in it: checked before HDF5 reads any of it.

A dataset may lie in other files: its raw bytes (external storage), whole (external links), or piece by piece (virtual
datasets). HDF5 opens whatever file such a reference names, takes zeros for what is missing, and crashes where a virtual
dataset is its own source.
"""

from __future__ import annotations

import glob
import math
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from distnn.data.file.opening import open_file
from distnn.errors import DataError

#: How many links may lead to each other, as in HDF5.
LINKS = 16
#: Where a dataset is: its file's device and number there, and its name.
Place = tuple[int, int, str]


def check_links(path: Path, group: Any, *, follow: bool) -> None:
    """Refuse links in a group that lead into files elsewhere, without following one.

    Raises:
        DataError: naming the link and the file.
    """
    for name in group:
        for target in _leads(group, name, LINKS):
            _check_place(path, name, _resolved(path, target), follow=follow)


def check_dataset(path: Path, dataset: Any, *, follow: bool, chain: tuple[Place, ...] = ()) -> set[Path]:
    """Refuse a dataset whose values lie in files elsewhere, are missing, refer to themselves, or were never written.

    Returns the other files that it lies in.

    Arguments:
        path: of the dataset's file.
        dataset: an open h5py dataset.
        follow: whether other folders' files may be read.
        chain: the virtual datasets of which this one is a source.

    Raises:
        DataError: naming the dataset, and the file or the samples.
    """
    status = os.stat(path)
    place = (status.st_dev, status.st_ino, str(dataset.name))
    if place in chain:
        raise DataError(f"{path}: the virtual dataset {dataset.name} is its own source; make the file again.")
    properties = dataset.id.get_create_plist()
    layout = properties.get_layout()
    others: set[Path] = set()
    if layout == h5py.h5d.VIRTUAL:
        for number in range(properties.get_virtual_count()):
            name = properties.get_virtual_filename(number), properties.get_virtual_dsetname(number)
            others |= _check_source(path, dataset, *name, follow, (*chain, place))
        _check_mapped(path, dataset, properties)
    elif external := properties.get_external_count():
        parts = [properties.get_external(number) for number in range(external)]
        parts = [(Path.cwd() / os.fsdecode(name), *rest) for name, *rest in parts]
        _check_raw(path, dataset, parts, follow=follow)
        others |= {name for name, *_ in parts}
    elif properties.fill_value_defined() != h5py.h5d.FILL_VALUE_USER_DEFINED:
        _check_written(path, dataset, layout)
    return others


def _check_mapped(path: Path, dataset: Any, properties: Any) -> None:
    """Refuse a virtual dataset that has no source for some of its values, unless a value for them was chosen."""
    spaces = [properties.get_virtual_vspace(number) for number in range(properties.get_virtual_count())]
    try:
        mapped = sum(space.get_select_npoints() for space in spaces)
    except RuntimeError:  # one grows with its source: it has no number
        return
    chosen = properties.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED
    if mapped < math.prod(dataset.shape) and not chosen:
        raise DataError(
            f"{path}: {dataset.name} is virtual, and has sources for only {mapped} of its {math.prod(dataset.shape)} "
            f"values; HDF5 would read zeros for the rest. Make the data file again, with a source for each sample."
        )


def source_files(path: Path, name: str) -> list[Path]:
    """The source of a virtual dataset in ``path``, or, where its name has a number's place, all that are there."""
    if name == ".":
        return [path]
    first = _resolved(path, name)
    found = sorted(glob.glob(glob.escape(str(first)).replace("%b", "*"))) if "%b" in str(first) else [first]
    return [Path(each) for each in found]


def _check_source(
    path: Path, dataset: Any, file_name: str, name: str, follow: bool, chain: tuple[Place, ...]
) -> set[Path]:
    """The files of one source of a virtual dataset."""
    others: set[Path] = set()
    for source in source_files(path, file_name):
        _check_place(path, str(dataset.name), source, follow=follow)
        if not source.is_file():
            raise DataError(
                f"{path}: {dataset.name} is virtual, and its source {source} is missing; HDF5 would read zeros in its "
                f"place. Put the file there, or make the data file again."
            )
        with open_file(source) as file:
            target = None if "%b" in name else file.get(name)
            if "%b" not in name and not isinstance(target, h5py.Dataset):
                raise DataError(f"{path}: {dataset.name} is virtual, but its source {source} has no dataset {name}.")
            if target is not None:
                others |= {source} | check_dataset(source, target, follow=follow, chain=chain)
    return others


def _check_raw(path: Path, dataset: Any, parts: list[tuple[Any, ...]], *, follow: bool) -> None:
    """The files of external storage, each with the offset and the number of its bytes there."""
    left = math.prod(dataset.shape) * dataset.dtype.itemsize
    for raw, offset, size in parts:
        _check_place(path, str(dataset.name), raw, follow=follow)
        needed = min(int(size), left)
        there = raw.stat().st_size if raw.is_file() else 0
        if there < offset + needed:
            raise DataError(
                f"{path}: {dataset.name} lies in the file {raw}, which has {there} bytes where {offset + needed} are "
                f"needed; HDF5 would read zeros for the rest. Put the whole file there."
            )
        left -= needed


def _check_written(path: Path, dataset: Any, layout: int) -> None:
    """Refuse values that nobody has written, unless a value for them was chosen."""
    if not dataset.shape or 0 in dataset.shape:  # a shape that is refused as such
        return
    missing = ""
    if layout == h5py.h5d.CONTIGUOUS and dataset.id.get_offset() is None:
        missing = f"all {dataset.shape[0]} samples"
    elif layout == h5py.h5d.CHUNKED:
        grid = [-(-length // chunk) for length, chunk in zip(dataset.shape, dataset.chunks, strict=True)]
        if dataset.id.get_num_chunks() < math.prod(grid):
            missing = f"sample {_first_missing(dataset, grid)}"
    if missing:
        raise DataError(
            f"{path}: {missing} of {dataset.name} and perhaps more were never written, so HDF5 would read zeros. The "
            f"program that made the file has not finished; run it again. If zeros are meant, give the dataset a "
            f"fillvalue."
        )


def _first_missing(dataset: Any, grid: list[int]) -> int:
    """The first sample of the first chunk that isn't there."""
    there: Counter[int] = Counter()
    dataset.id.chunk_iter(lambda chunk: there.update(chunk.chunk_offset[:1]))
    rows = range(0, grid[0] * dataset.chunks[0], dataset.chunks[0])
    return next(row for row in rows if there[row] < math.prod(grid[1:]))


def _leads(group: Any, name: str, left: int) -> Iterator[str]:
    """The files that are opened on the way along a path."""
    link = group.get(name, getlink=True, default=None)
    if isinstance(link, h5py.ExternalLink):
        yield link.filename
    elif isinstance(link, h5py.SoftLink) and left:
        here = group.file["/"] if link.path.startswith("/") else group
        for word in filter(None, link.path.split("/")):
            if not isinstance(here, h5py.Group) or word not in here.keys():  # noqa: SIM118 (`in` follows links)
                return
            outside = [*_leads(here, word, left - 1)]
            if outside:
                yield from outside
                return
            here = here.get(word)


def _resolved(path: Path, name: str) -> Path:
    """The file that HDF5 opens for a name in the file ``path``: beside that file, else in the working directory."""
    beside = path.resolve().parent / name
    return beside if beside.exists() or not (Path.cwd() / name).exists() else Path.cwd() / name


def _check_place(path: Path, name: str, target: Path, *, follow: bool) -> None:
    """Refuse a file outside the data file's own folder, unless all may be read, and what is no file."""
    if target.exists() and not target.is_file():
        raise DataError(f"{path}: {name} refers to {target}, which is no regular file; make the data file again.")
    folders = {path.resolve().parent, path.parent.resolve()}
    if not follow and not any(target.resolve().is_relative_to(folder) for folder in folders):
        raise DataError(
            f"{path}: {name} refers to another folder's file, {target}, which would be read as samples. If that is "
            f"meant, set data.follow = true; else ask who made the file."
        )
