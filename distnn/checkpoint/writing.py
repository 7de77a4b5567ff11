"""Writing a checkpoint with HDF5: it lays the file out before `extents` fills it, and verifies its structure after."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from distnn.checkpoint.content import Checkpoint, arrays, document, documents, flat, heading
from distnn.checkpoint.extents import DifferenceError, Extent, checksum
from distnn.checkpoint.file import FORMAT, VERSION, datasets, reading, text_of
from distnn.data.file.atomic import allocate
from distnn.errors import CheckpointError

_LIBVER = ("v110", "v110")
_HEXADECIMAL = 64


class FileLayout:
    """A checkpoint's new file with everything except the arrays' bytes, whose `extents` it knows, and the checksum.

    Raises:
        CheckpointError: if the content can't be stored.
        OSError: if the file system refuses (full, read-only, …).
    """

    def __init__(self, path: Path, checkpoint: Checkpoint) -> None:
        self.path = path
        self._content, self._texts = arrays(checkpoint), documents(checkpoint)
        self.extents: dict[str, Extent] = {}
        with _hdf5_errors(), h5py.File(path, "w", libver=_LIBVER, locking=False) as file:
            file.attrs["format"] = np.bytes_(FORMAT)
            file.attrs["version"] = VERSION
            file.attrs["sha256"] = np.bytes_("0" * _HEXADECIMAL)
            for name, text in self._texts.items():
                file.attrs[name] = np.bytes_(text.encode())
            slots = [f"optimizer/{slot}" for slot in checkpoint.optimizer]
            for group in ("parameters", "optimizer", *slots, *(["state"] if checkpoint.state else [])):
                file.create_group(group)
            for name, array in self._content.items():
                place = allocate(file, name, array.shape, array.dtype).get_offset() or 0
                self.extents[name] = Extent(flat(array), place)

    def seal(self) -> None:
        """Write the checksum of the file's content, sync the file, and compare its structure.

        Raises:
            DifferenceError: if anything except the arrays' bytes is missing or differs.
            OSError: if the file system refuses.
        """
        descriptor = os.open(self.path, os.O_RDWR)
        try:
            headings = [heading(name, array) for name, array in self._content.items()]
            texts = [document(name, text) for name, text in self._texts.items()]
            self._texts["sha256"] = checksum(descriptor, self.extents.values(), headings, texts)
            with _hdf5_errors(), h5py.File(self.path, "r+", libver=_LIBVER, locking=False) as file:
                file.attrs.modify("sha256", np.bytes_(self._texts["sha256"]))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            self._compare()
        except CheckpointError as error:  # it can't be read as a checkpoint
            raise DifferenceError(error) from error

    def _compare(self) -> None:
        """Compare the structure that HDF5 reads with the one that was written; the arrays' bytes are left out."""
        with reading(self.path) as file:
            if sorted(datasets(file)) != list(self._content):
                raise DifferenceError("it has other datasets")
            for name, array in self._content.items():
                dataset = file[name]
                place = (dataset.id.get_offset() or 0, dataset.shape, dataset.dtype)
                if place != (self.extents[name].offset, array.shape, array.dtype):
                    raise DifferenceError(f"{name} has another place, shape or dtype")
            for name, text in self._texts.items():
                if text_of(file.attrs[name]) != text:
                    raise DifferenceError(f"its attribute {name} differs")


@contextmanager
def _hdf5_errors() -> Iterator[None]:
    """Raise HDF5's errors as the system's, whose error number is in the exception or only in its text."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = re.search(r"errno = (\d+)", str(error))
        code = int(number.group(1)) if number else getattr(error, "errno", None)
        raise (OSError(code, os.strerror(code)) if code else OSError(errno.EIO, str(error))) from error
