"""The kind of an HDF5 file and an outline of its content, without reading the data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py

from distnn.checkpoint.file import FORMAT, damaged, opened, text_of
from distnn.data.file.checks import SPLITS

Kind = Literal["checkpoint", "data", "other"]

_ADVICE = "Copy it again from an intact copy, or make it again"


@dataclass(frozen=True)
class DatasetOutline:
    """How one dataset is stored.

    Attributes:
        name: its path in the file, without the leading slash.
        shape, dtype: in numpy's terms.
        chunks: the shape of a chunk; None if the dataset is contiguous.
        compression: the filter's name, such as ``gzip``; None if there is none.
        stored: its bytes on the disk.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    chunks: tuple[int, ...] | None
    compression: str | None
    stored: int


@dataclass(frozen=True)
class Outline:
    """An HDF5 file's kind, its root attributes as text, the names in its root, and all of its datasets."""

    kind: Kind
    attributes: dict[str, str]
    top: tuple[str, ...]
    datasets: tuple[DatasetOutline, ...]


def kind_of(path: str | Path) -> Kind:
    """Whether a file is a checkpoint, a data file, or another HDF5 file.

    Raises:
        CheckpointError: if it is missing, or isn't an HDF5 file that can be opened.
    """
    with opened(Path(path), "HDF5 file", _ADVICE) as file, _listed(path):
        return _kind(file)


@contextmanager
def _listed(path: str | Path) -> Iterator[None]:
    """What HDF5 can't read inside means that the file is damaged."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise damaged(path, f"HDF5 can't list what is in it ({error})", "HDF5 file", _ADVICE) from error


def outline(path: str | Path) -> Outline:
    """The outline of an HDF5 file.

    Raises:
        CheckpointError: if it is missing, or isn't an HDF5 file that can be opened and listed.
    """
    datasets = []

    def collect(name: str, entry: h5py.Group | h5py.Dataset) -> None:
        if isinstance(entry, h5py.Dataset):
            form = entry.shape or (), _dtype(entry), entry.chunks, entry.compression
            datasets.append(DatasetOutline(name, *form, entry.id.get_storage_size()))

    with opened(Path(path), "HDF5 file", _ADVICE) as file, _listed(path):
        file.visititems(collect)
        attributes = {name: _attribute(file, name) for name in file.attrs}
        top = tuple(f"{name}{'/' if isinstance(entry, h5py.Group) else ''}" for name, entry in file.items())
        return Outline(_kind(file), attributes, top, tuple(datasets))


def _dtype(dataset: h5py.Dataset) -> str:
    """The name of its type; what HDF5 calls it where numpy has none, as for times."""
    try:
        return str(dataset.dtype)
    except TypeError:
        return type(dataset.id.get_type()).__name__.removeprefix("Type").removesuffix("ID").lower()


def _attribute(file: h5py.File, name: str) -> str:
    try:
        return text_of(file.attrs[name]) or ""
    except TypeError:
        return "of a type that numpy lacks"


def _kind(file: h5py.File) -> Kind:
    if text_of(file.attrs.get("format")) == FORMAT:
        return "checkpoint"
    return "data" if "task" in file.attrs or any(split in file for split in SPLITS) else "other"
