"""The checkpoint's file format: HDF5, written in few large pieces, verified before it counts, checked on every read.

Layout of version 1:

    /parameters/<dotted name>        one contiguous dataset for each parameter
    /optimizer/<slot>/<dotted name>  the same for each slot of the optimiser
    /state/<dotted name>             in the middle of an epoch over streams of text, the model's state of each stream
    root attributes
      format       "distnn-checkpoint"
      version      1
      sha256       64 hexadecimal digits: the checksum over all of the content
      progress, settings, model, environment        JSON texts (ASCII)

The checksum takes the datasets in sorted order of their paths, each as a line of JSON ``[path, dtype, shape]`` and the
bytes in C order, then the four documents in sorted order, each as a line ``[name, length]`` and the text. Any language
with SHA-256 and HDF5 can verify a file.

The file is in HDF5's newer format (1.10 and later), which guards its own structure with checksums too and bears
attributes above 64 KiB. Locks are left aside: a file is complete before it gets its name and never changes after, and
some parallel file systems refuse locks (h5py issues 1101 and 1679).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from distnn.errors import CheckpointError
from distnn.train.checkpoint.content import (
    DOCUMENTS,
    Array,
    Checkpoint,
    Hasher,
    arrays,
    checksum,
    documents,
    feed_array,
    feed_document,
)

FORMAT = "distnn-checkpoint"
VERSION = 1

_LIBVER = ("v110", "v110")
_ADVICE = (
    "Give another checkpoint of that folder, or resume from the run directory, which takes the newest good checkpoint"
)


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``path``, bring it to the disk, read it back and compare it with the content in memory.

    Raises:
        CheckpointError: if the content can't be stored, or what was read back differs.
        OSError: if the file system refuses (full, read-only, …).
    """
    sha256 = checksum(checkpoint)
    try:
        with h5py.File(path, "w", libver=_LIBVER, locking=False) as file:
            _fill(file, checkpoint, sha256)
    except (OSError, RuntimeError) as error:
        raise _system_error(error) from error
    sync(path)
    try:
        reason = "" if verify(path) == sha256 else "its checksum is another"
    except CheckpointError as error:
        reason = str(error)
    if reason:
        raise CheckpointError(
            f"{path}: the checkpoint can't be saved: read back, it isn't what was written ({reason}). The disk or the "
            f"memory is failing; use another file system or node, then resume. The checkpoints saved before are intact."
        )


def load(path: str | Path) -> Checkpoint:
    """The checkpoint in the file ``path``, its checksum verified.

    Raises:
        CheckpointError: if the file is missing, isn't a checkpoint, is of a newer version, or is damaged.
    """
    with _reading(Path(path)) as file:
        found: dict[str, Array] = {}
        texts: dict[str, str] = {}
        _check(file, path, _hash(file, found, texts))
        optimizer: dict[str, dict[str, Array]] = {slot: {} for slot in file["optimizer"]}
        parsed = {name: json.loads(text) for name, text in texts.items()}
    parameters, state = {}, {}
    for entry, array in found.items():
        group, _, name = entry.partition("/")
        if group == "parameters":
            parameters[name] = array
        elif group == "state":
            state[name] = array
        else:
            slot, _, name = name.partition("/")
            optimizer[slot][name] = array
    return Checkpoint(parameters, optimizer, state=state, **parsed)


def verify(path: str | Path) -> str:
    """The checksum of the file's content, found equal to the one stored in it; holds one array at a time.

    Raises:
        CheckpointError: as `load`.
    """
    with _reading(Path(path)) as file:
        sha256 = _hash(file)
        _check(file, path, sha256)
    return sha256


def sync(path: Path) -> None:
    """Bring a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def opened(path: Path, what: str = "checkpoint", advice: str = _ADVICE) -> h5py.File:
    """The HDF5 file, for reading, without a lock; ``what`` it should be and the ``advice`` go into the error.

    Raises:
        CheckpointError: if there is none, or HDF5 can't open it.
    """
    if path.is_dir():
        raise CheckpointError(f"{path}: this is a folder, but one {what} is needed. {advice}.")
    try:
        with open(path, "rb") as file:
            empty = not file.read(1)
        if empty or not h5py.is_hdf5(path):
            found = "it is empty" if empty else "it doesn't begin as HDF5 files do"
            raise CheckpointError(f"{path}: this is no {what}, for it is not an HDF5 file: {found}. {advice}.")
        return h5py.File(path, "r", locking=False)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such {what}. Check the path. {advice}.") from None
    except PermissionError as error:
        raise CheckpointError(f"{path}: the {what} can't be read: {error.strerror}. Check who owns it.") from None
    except (OSError, RuntimeError) as error:
        raise damaged(path, f"HDF5 can't open it ({error})", what, advice) from error


def damaged(path: str | Path, reason: str, what: str = "checkpoint", advice: str = _ADVICE) -> CheckpointError:
    """The error for a file that has the right beginning but not the right content."""
    return CheckpointError(f"{path}: the {what} is damaged or incomplete: {reason}. {advice}.")


def text_of(value: Any) -> str | None:
    """An attribute as text, be it stored as bytes or as text; None where there is none."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None if value is None else str(value)


def _fill(file: h5py.File, checkpoint: Checkpoint, sha256: str) -> None:
    file.attrs["format"] = np.bytes_(FORMAT)
    file.attrs["version"] = VERSION
    file.attrs["sha256"] = np.bytes_(sha256)
    for name, text in documents(checkpoint).items():
        file.attrs[name] = np.bytes_(text.encode())
    file.create_group("parameters")
    file.create_group("optimizer")
    for slot in checkpoint.optimizer:
        file.create_group(f"optimizer/{slot}")
    for path, array in arrays(checkpoint).items():
        # One dataset, one write: contiguous, in C order, whatever the array's own strides are.
        file.create_dataset(path, data=np.ascontiguousarray(array).reshape(array.shape))


@contextmanager
def _reading(path: Path) -> Iterator[h5py.File]:
    """The open file, known to be a checkpoint of a version we read; whatever fails inside means it is damaged."""
    with opened(path) as file:
        try:
            _recognise(file, path)
            yield file
        except (CheckpointError, MemoryError):
            raise
        except Exception as error:  # a damaged HDF5 file shows in many ways: OSError, KeyError, ValueError …
            raise damaged(path, f"reading it failed ({type(error).__name__}: {error})") from error


def _recognise(file: h5py.File, path: Path) -> None:
    found = text_of(file.attrs.get("format"))
    if found != FORMAT:
        raise CheckpointError(
            f"{path}: this is an HDF5 file, but no distnn checkpoint: its root attribute 'format' should be "
            f"'{FORMAT}', but {'there is none' if found is None else f'it is {found!r}'}. `distnn inspect {path}` "
            f"shows what it is."
        )
    version = int(file.attrs["version"])
    if version > VERSION:
        raise CheckpointError(
            f"{path}: a newer distnn wrote this checkpoint (format version {version}; this distnn reads up to "
            f"{VERSION}). Upgrade distnn, or use a checkpoint of this version."
        )


def _check(file: h5py.File, path: str | Path, sha256: str) -> None:
    stored = text_of(file.attrs["sha256"])
    if stored != sha256:
        raise damaged(path, f"its content has the checksum {sha256[:16]}…, but {str(stored)[:16]}… was stored")


def _hash(file: h5py.File, found: dict[str, Array] | None = None, texts: dict[str, str] | None = None) -> str:
    """The checksum of the content, which goes into ``found`` and ``texts`` where they are given."""
    hasher = hashlib.sha256()
    for path in sorted(_datasets(file)):
        array = _read(file[path], path, hasher)
        if found is not None:
            found[path] = array
    for name in DOCUMENTS:
        text = text_of(file.attrs[name]) or ""
        feed_document(hasher, name, text)
        if texts is not None:
            texts[name] = text
    return hasher.hexdigest()


def _datasets(file: h5py.File) -> list[str]:
    slots = [f"optimizer/{slot}" for slot in file["optimizer"]]
    return [f"{group}/{name}" for group in ("parameters", *slots, "state") for name in file.get(group, ())]


def _read(dataset: h5py.Dataset, path: str, hasher: Hasher) -> Array:
    array: Array = dataset[...]
    feed_array(hasher, path, array)
    return array


def _system_error(error: Exception) -> OSError:
    """HDF5's failure as the system's, whose error number is in the exception, or only in its text."""
    number = re.search(r"errno = (\d+)", str(error))
    code = int(number.group(1)) if number else getattr(error, "errno", None)
    return OSError(code, os.strerror(code)) if code else OSError(errno.EIO, str(error))
