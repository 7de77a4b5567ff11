"""Datasets with checksums and a fingerprint, and what is read of a file to see whether they still agree.

Each chunk has HDF5's own checksum (Fletcher-32), which is verified when the chunk is first read. The attribute
``fingerprint`` of a dataset is the SHA-256 of a line of JSON ``[type, shape, scale]`` and of its bytes, in C order and
little-endian; that of a file's root is of a JSON text of its task, its classes, and its datasets' fingerprints and
names. They tell of values that a program has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from distnn.data.file import checks
from distnn.data.file.attributes import text, texts
from distnn.data.file.opening import damaged, open_file
from distnn.data.file.references import check_dataset, check_links
from distnn.data.file.stored import Stored, Witness
from distnn.errors import DataError

FINGERPRINT = "fingerprint"
#: A chunk holds as many whole samples as fit: few enough bytes for HDF5's chunk cache (1 MiB), enough for one request.
CHUNK_BYTES = 512 * 1024


class Sealed:
    """A new dataset, which is written from its first row to its last, and then sealed.

    Arguments:
        group: where it is created, by its name.
        shape, dtype: of it.
        attributes: of it.
    """

    def __init__(
        self,
        group: Any,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        row = max(1, int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize)
        chunks = (max(1, min(shape[0], CHUNK_BYTES // row)), *shape[1:]) if 0 not in shape else None
        options = {} if chunks is None else {"chunks": chunks, "fletcher32": True}
        self._dataset = group.create_dataset(name, shape=shape, dtype=dtype.newbyteorder("="), **options)
        self._dataset.attrs.update(attributes or {})
        self._hasher = _hasher(self._dataset)

    def write(self, start: int, values: np.ndarray) -> None:
        """Write the rows from ``start`` on."""
        self._dataset[start : start + len(values)] = values
        self._hasher.update(_bytes(values))

    def seal(self) -> None:
        """Store the fingerprint of what was written."""
        self._dataset.attrs[FINGERPRINT] = self._hasher.hexdigest()


class Verified(NamedTuple):
    """What `verify` has read: so many datasets, those among them that have a checksum, and the fingerprint, if any."""

    datasets: int
    checksums: int
    fingerprint: str | None


def seal(file: Any) -> None:
    """Store the fingerprint of a file whose datasets are sealed."""
    names = [name for name in _names(file) if FINGERPRINT in file[name].attrs]
    file.attrs[FINGERPRINT] = _of_all(file, {name: file[name].attrs[FINGERPRINT] for name in names})


def verify(path: Path, progress: Callable[[], None] = lambda: None) -> Verified:
    """Read all of a data file, or of a file of predictions, and compare it with its checksums and fingerprints.

    ``progress`` is called after each piece.

    Raises:
        DataError: naming the datasets and samples that are damaged, or what was changed.
    """
    with open_file(path) as file:
        try:
            return _verify(path, file, progress)
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:  # all of them h5py's
            raise damaged(path, "its structure", error) from error


def _verify(path: Path, file: Any, progress: Callable[[], None]) -> Verified:
    check_links(path, file, follow=False)
    faults: list[str] = []
    prints: dict[str, str] = {}
    checksums, names, witness = 0, _names(file), Witness(path)
    for name in names:
        witness.add(check_dataset(path, file[name], follow=False))
        dataset, hasher = Stored(path, file[name], witness), _hasher(file[name])
        checksums += bool(dataset.fletcher32)
        if wrong := list(_unreadable(dataset, hasher, progress)):
            faults.append(f"samples {checks.listing(wrong)} of {name} can't be read, or don't fit their checksum")
        elif stored := dataset.attrs.get(FINGERPRINT):
            prints[name] = hasher.hexdigest()
            if prints[name] != stored:
                faults.append(f"{name} was changed after it was written: it doesn't fit its fingerprint")
    stored = file.attrs.get(FINGERPRINT)
    if stored is not None and not faults and _of_all(file, prints) != stored:
        faults.append("its task, its classes, its datasets or their names were changed: they don't fit its fingerprint")
    if faults:
        raise DataError(f"{path} is damaged: {'; '.join(faults)}. Copy it again from an intact copy, or make it again.")
    return Verified(len(names), checksums, stored)


def _names(file: Any) -> list[str]:
    """The datasets of numbers that are in a file, and those that its splits link to."""
    found: dict[str, Any] = {}
    file.visititems(lambda name, thing: found.update({name: thing}))
    found |= {name: file.get(name) for split in checks.SPLITS for name in (f"{split}/x", f"{split}/y")}
    return [name for name, thing in found.items() if isinstance(thing, h5py.Dataset) and _numbers(thing)]


def _numbers(dataset: Any) -> bool:
    return bool(dataset.shape) and dataset.id.get_type().get_class() in (
        h5py.h5t.INTEGER,
        h5py.h5t.FLOAT,
        h5py.h5t.ENUM,
    )


def _unreadable(dataset: Stored, hasher: Any, progress: Callable[[], None]) -> Iterator[str]:
    """Read all rows, a row of chunks at a time: the ranges that can't be read."""
    length = dataset.shape[0]
    row = max(1, int(np.prod(dataset.shape[1:], dtype=np.int64)) * dataset.dtype.itemsize)
    step = dataset.chunks[0] if dataset.chunks else max(1, CHUNK_BYTES // row)
    for start in range(0, length, step):
        values = np.empty((min(step, length - start), *dataset.shape[1:]), dataset.dtype)
        try:
            if values.size:
                dataset.read_direct(values, np.s_[start : start + len(values)])
        except (OSError, RuntimeError, DataError):
            yield f"{start}..{start + len(values)}"
        hasher.update(_bytes(values))
        progress()


def _hasher(dataset: Any) -> Any:
    """SHA-256 of what precedes a dataset's values."""
    scale = dataset.attrs.get("scale")
    head = [dataset.dtype.newbyteorder("<").str, list(dataset.shape), None if scale is None else float(scale)]
    return hashlib.sha256(json.dumps(head).encode() + b"\n")


def _bytes(values: np.ndarray) -> Any:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data


def _of_all(file: Any, prints: Mapping[str, str]) -> str:
    """The fingerprint of a file with these datasets."""
    classes = list(texts(file.attrs.get("classes", ())) or ())
    about = {"task": text(file.attrs.get("task")) or "", "classes": classes, "datasets": dict(prints)}
    named = {name: list(map(str, file[name].attrs["names"])) for name in prints if "names" in file[name].attrs}
    about |= {"names": named} if named else {}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
