"""Writing a checkpoint: HDF5 lays the file out, `blocks` fills it, and it counts only once it has been read back."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from distnn.data.files import allocate
from distnn.errors import CheckpointError
from distnn.train.checkpoint.blocks import Block, DifferenceError, store
from distnn.train.checkpoint.content import Array, Checkpoint, arrays, documents, feed_document, flat, heading
from distnn.train.checkpoint.file import FORMAT, VERSION, datasets, reading, text_of

_LIBVER = ("v110", "v110")
_HEXADECIMAL = 64


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``path``, bring it to the disk, read it back and compare it with the content in memory.

    The arrays must not change until it returns.

    Raises:
        CheckpointError: if the content can't be stored, or what was read back differs.
        OSError: if the file system refuses (full, read-only, …).
    """
    content, texts = arrays(checkpoint), documents(checkpoint)
    try:
        with _hdf5_errors():
            blocks = _lay_out(path, checkpoint.optimizer, content, texts)
        descriptor = os.open(path, os.O_RDWR)
        try:
            hasher = store(descriptor, blocks)
            for name, text in texts.items():
                feed_document(hasher, name, text)
            texts["sha256"] = hasher.hexdigest()
            with _hdf5_errors(), h5py.File(path, "r+", libver=_LIBVER, locking=False) as file:
                file.attrs.modify("sha256", np.bytes_(texts["sha256"]))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        _compare(path, content, blocks, texts)
    except (DifferenceError, CheckpointError) as error:
        raise CheckpointError(
            f"{path}: the checkpoint can't be saved: read back, it isn't what was written ({error}). The disk or the "
            f"memory is failing; use another file system or node. The checkpoints saved before are intact, and the run "
            f"can be resumed from them."
        ) from error


def _lay_out(path: Path, slots: Iterable[str], content: Mapping[str, Array], texts: Mapping[str, str]) -> list[Block]:
    """The file with all that is in it but the arrays' bytes and the checksum; where those bytes belong."""
    with h5py.File(path, "w", libver=_LIBVER, locking=False) as file:
        file.attrs["format"] = np.bytes_(FORMAT)
        file.attrs["version"] = VERSION
        file.attrs["sha256"] = np.bytes_("0" * _HEXADECIMAL)
        for name, text in texts.items():
            file.attrs[name] = np.bytes_(text.encode())
        for group in ("parameters", "optimizer", *(f"optimizer/{slot}" for slot in slots)):
            file.create_group(group)
        blocks = []
        for name, array in content.items():
            place = allocate(file, name, array.shape, array.dtype).id.get_offset() or 0
            blocks.append(Block(heading(name, array), flat(array), place))
    return blocks


def _compare(path: Path, content: Mapping[str, Array], blocks: Iterable[Block], texts: Mapping[str, str]) -> None:
    """Compare what HDF5 finds around the arrays' bytes with what it should.

    Raises:
        CheckpointError, DifferenceError: if anything is missing or differs.
    """
    with reading(path) as file:
        if sorted(datasets(file)) != list(content):
            raise DifferenceError("it has other datasets")
        for (name, array), block in zip(content.items(), blocks, strict=True):
            found = file[name]
            place = (found.id.get_offset() or 0, found.shape, found.dtype)
            if place != (block.offset, array.shape, array.dtype):
                raise DifferenceError(f"{name} has another place, shape or dtype")
        for name, text in texts.items():
            if text_of(file.attrs[name]) != text:
                raise DifferenceError(f"its attribute {name} differs")


@contextmanager
def _hdf5_errors() -> Iterator[None]:
    """HDF5's failure as the system's, whose error number is in the exception, or only in its text."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = re.search(r"errno = (\d+)", str(error))
        code = int(number.group(1)) if number else getattr(error, "errno", None)
        raise (OSError(code, os.strerror(code)) if code else OSError(errno.EIO, str(error))) from error
