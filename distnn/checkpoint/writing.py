"""The HDF5 side of writing a checkpoint: it lays the file out before `blocks` fills it, and is compared after."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from distnn.checkpoint.blocks import Block, DifferenceError, checksum
from distnn.checkpoint.content import Checkpoint, arrays, documents, feed_document, flat, heading
from distnn.checkpoint.file import FORMAT, VERSION, datasets, reading, text_of
from distnn.data.file.files import allocate
from distnn.errors import CheckpointError

_LIBVER = ("v110", "v110")
_HEXADECIMAL = 64


class Layout:
    """A checkpoint's file with all that is in it but the arrays' bytes and the checksum.

    Arguments:
        path: the file to create.
        checkpoint: what is to be in it.

    Attributes:
        blocks: by the path of each array in the file its bytes, and where they belong.

    Raises:
        CheckpointError: if the content can't be stored.
        OSError: if the file system refuses (full, read-only, …).
    """

    def __init__(self, path: Path, checkpoint: Checkpoint) -> None:
        self.path = path
        self._content, self._texts = arrays(checkpoint), documents(checkpoint)
        self.blocks: dict[str, Block] = {}
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
                self.blocks[name] = Block(flat(array), place)

    def seal(self) -> None:
        """Write the checksum of what is in the file now, bring it to the disk, and compare the structure.

        Raises:
            DifferenceError: if anything but the arrays' bytes is missing or differs.
            OSError: if the file system refuses.
        """
        descriptor = os.open(self.path, os.O_RDWR)
        try:
            headings = [heading(name, array) for name, array in self._content.items()]
            hasher = checksum(descriptor, self.blocks.values(), headings)
            for name, text in self._texts.items():
                feed_document(hasher, name, text)
            self._texts["sha256"] = hasher.hexdigest()
            with _hdf5_errors(), h5py.File(self.path, "r+", libver=_LIBVER, locking=False) as file:
                file.attrs.modify("sha256", np.bytes_(self._texts["sha256"]))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            self._compare()
        except CheckpointError as error:  # it can't be read as one
            raise DifferenceError(error) from error

    def _compare(self) -> None:
        """Compare what HDF5 finds around the arrays' bytes with what it should."""
        with reading(self.path) as file:
            if sorted(datasets(file)) != list(self._content):
                raise DifferenceError("it has other datasets")
            for name, array in self._content.items():
                found = file[name]
                place = (found.id.get_offset() or 0, found.shape, found.dtype)
                if place != (self.blocks[name].offset, array.shape, array.dtype):
                    raise DifferenceError(f"{name} has another place, shape or dtype")
            for name, text in self._texts.items():
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
