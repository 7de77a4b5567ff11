"""The file format of checkpoints, and reading them; the checksum is verified on every read. `draft` writes them.

Layout of version 2; version 1 lacks the document `data`:

    /parameters/<dotted name>        one contiguous dataset for each parameter
    /optimizer/<slot>/<dotted name>  the same for each slot of the optimiser
    /state/<dotted name>             in the middle of an epoch over streams of text, the model's state of each stream
    /transforms/<dotted name>        what the transforms of samples and targets were fitted to
    root attributes
      format       "distnn-checkpoint"
      version      2
      sha256       64 hexadecimal digits: the checksum over all of the content
      progress, settings, model, environment, data  JSON texts (ASCII)

The checksum covers the datasets in sorted order of their paths, each as a line of JSON ``[path, dtype, shape]`` and the
bytes in C order, then the documents in sorted order, each as a line ``[name, length]`` and the text. Any language
with SHA-256 and HDF5 can verify a file.

The file is in HDF5's newer format (1.10 and later), which protects its own structure with checksums too and allows
attributes above 64 KiB. Files are opened without locks: a file is complete before it gets its name and never changes
afterwards, and some parallel file systems refuse locks (h5py issues 1101 and 1679).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from distnn.arrays import Array
from distnn.checkpoint.content import DOCUMENTS, OPTIONAL, Checkpoint, document, fault, flat, heading
from distnn.data.file.opening import named
from distnn.errors import CheckpointError

FORMAT = "distnn-checkpoint"
VERSION = 2

_ADVICE = (
    "Give another checkpoint of that folder, or resume from the run directory, which takes the newest good checkpoint"
)


def load(path: str | Path) -> Checkpoint:
    """Read the checkpoint in the file ``path``, and verify its checksum.

    Raises:
        CheckpointError: if the file is missing, isn't a checkpoint, is of a newer version, or is damaged.
    """
    return named(Path(path), _load)(path)


def _load(path: str | Path) -> Checkpoint:
    hasher = hashlib.sha256()
    with reading(Path(path)) as file:
        optimizer: dict[str, dict[str, Array]] = {slot: {} for slot in file["optimizer"]}
        groups: dict[str, dict[str, Array]] = {"parameters": {}, "state": {}, "transforms": {}}
        by_path = groups | {f"optimizer/{slot}": optimizer[slot] for slot in optimizer}
        for entry in sorted(datasets(file)):
            group, _, name = entry.rpartition("/")
            array = by_path[group][name] = file[entry][...]
            hasher.update(heading(entry, array))
            hasher.update(flat(array).data)
        names = [name for name in DOCUMENTS if name in file.attrs or name not in OPTIONAL]
        texts = {name: text_of(file.attrs[name]) or "" for name in names}
        for name, text in texts.items():
            hasher.update(document(name, text))
        sha256, stored = hasher.hexdigest(), text_of(file.attrs["sha256"])
        if stored != sha256:
            raise damaged(path, f"its content has the checksum {sha256[:16]}…, but {str(stored)[:16]}… was stored")
        parsed = {name: {} for name in OPTIONAL} | {name: json.loads(text) for name, text in texts.items()}
        if why := fault(parsed):
            raise damaged(path, f"its document {why}")
    state, transforms = groups["state"], groups["transforms"]
    return Checkpoint(groups["parameters"], optimizer, state=state, transforms=transforms, **parsed)


@contextmanager
def reading(path: Path) -> Iterator[h5py.File]:
    """Open the file and check that it is a checkpoint of a known version; any failure inside means that it is damaged.

    Raises:
        CheckpointError: if it is missing, isn't a checkpoint, is of a newer version, or is damaged.
    """
    with opened(path) as file:
        try:
            _recognise(file, path)
            yield file
        except (CheckpointError, MemoryError):
            raise
        except Exception as error:  # a damaged HDF5 file can raise OSError, KeyError, ValueError …
            raise damaged(path, f"reading it failed ({type(error).__name__}: {error})") from error


def datasets(file: h5py.File) -> list[str]:
    """The paths of a checkpoint's arrays in its file."""
    slots = [f"optimizer/{slot}" for slot in file["optimizer"]]
    groups = ("parameters", *slots, "state", "transforms")
    return [f"{group}/{name}" for group in groups for name in file.get(group, ())]


def opened(path: Path, what: str = "checkpoint", advice: str = _ADVICE) -> h5py.File:
    """Open the HDF5 file for reading, without a lock; the error says ``what`` it should be, and gives the ``advice``.

    Raises:
        CheckpointError: if it doesn't exist, or HDF5 can't open it.
    """
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe, a device or a socket"
        raise CheckpointError(f"{path}: this is {kind}, but one {what} is needed. {advice}.")
    try:
        with open(path, "rb") as file:
            empty = not file.read(1)
        if empty or not h5py.is_hdf5(path):
            reason = "it is empty" if empty else "it doesn't begin as HDF5 files do"
            raise CheckpointError(f"{path}: this is not a {what}, because it is not an HDF5 file: {reason}. {advice}.")
        return h5py.File(path, "r", locking=False)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such {what}. Check the path. {advice}.") from None
    except PermissionError as error:
        raise CheckpointError(f"{path}: the {what} can't be read: {error.strerror}. Check who owns it.") from None
    except (OSError, RuntimeError) as error:
        raise damaged(path, f"HDF5 can't open it ({error})", what, advice) from error


def damaged(path: str | Path, reason: str, what: str = "checkpoint", advice: str = _ADVICE) -> CheckpointError:
    """The error for a file that begins correctly but whose content is wrong."""
    return CheckpointError(f"{path}: the {what} is damaged or incomplete: {reason}. {advice}.")


def text_of(value: Any) -> str | None:
    """An attribute as text, whether it is stored as bytes or as text; None if there is none."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None if value is None else str(value)


def _check_plain(file: h5py.File, path: Path) -> None:
    """Refuse what distnn writes into no checkpoint, and HDF5 would follow: links, and arrays in other places."""

    def check(name: str, link: object) -> str | None:  # h5py doesn't pass on every error that is raised in here
        if not isinstance(link, h5py.HardLink):
            return f"{name} is a link, and could lead into any file"
        thing = file[name]
        if isinstance(thing, h5py.Dataset):
            properties = thing.id.get_create_plist()
            plain = properties.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
            if not plain or properties.get_external_count():
                return f"the values of {name} don't lie in it in one piece"
            if thing.id.get_storage_size() < thing.nbytes:  # before memory is taken for what isn't there
                return f"the values of {name} were never written"
        return None

    if why := file.visititems_links(check):
        raise damaged(path, why)


def _recognise(file: h5py.File, path: Path) -> None:
    written = text_of(file.attrs.get("format"))
    if written != FORMAT:
        raise CheckpointError(
            f"{path}: this is an HDF5 file, but not a distnn checkpoint: its root attribute 'format' should be "
            f"'{FORMAT}', but {'there is none' if written is None else f'it is {written!r}'}. `distnn inspect {path}` "
            f"shows what it is."
        )
    version = int(file.attrs["version"])
    if version > VERSION:
        raise CheckpointError(
            f"{path}: a newer distnn wrote this checkpoint (format version {version}; this distnn reads up to "
            f"{VERSION}). Upgrade distnn, or use a checkpoint of this version."
        )
    _check_plain(file, path)
