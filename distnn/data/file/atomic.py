"""Atomic writing: a file, HDF5 files too, is written completely or not at all."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py

from distnn.errors import DataError

#: Some parallel file systems can't sync a folder; they don't need it to keep its names consistent.
NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


@contextmanager
def new_file(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    """A temporary path beside ``path``, which is renamed to ``path`` when the block ends without an error.

    The bytes are on disk before the rename, and the rename before the return: a crash leaves the old file or the new
    one, never a part. If the block fails, the temporary file is removed and ``path`` is unchanged.

    Args:
        path: the file to write.
        force: replace an existing file.

    Raises:
        DataError: ``path`` exists and ``force`` is not set, it is a folder, its folder is missing, or a write failed.
    """
    path = Path(path)
    _check_free(path, force)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.h5.tmp")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise refused(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def refused(path: Path, *reasons: object) -> DataError:
    """The error that says why ``path`` could not be written."""
    causes = "; ".join(" ".join(str(reason).split()) for reason in reasons)
    return DataError(
        f"{path} could not be written: {causes}. Nothing was changed; check the free space, the quota and the "
        "permissions of its folder."
    )


def _check_free(path: Path, force: bool) -> None:
    if path.is_dir():
        raise DataError(f"{path} is a folder, but a file is to be written there; give a file name such as data.h5.")
    if not path.parent.is_dir():
        raise DataError(
            f"{path} can't be written: there is no folder {path.parent}; create it first (mkdir -p {path.parent})."
        )
    if path.exists() and not force:
        raise DataError(
            f"{path} already exists and was left as it is; choose another name, or replace it with --force "
            "(force=True in Python)."
        )


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk, as far as its file system knows how to."""
    try:
        sync(folder)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def allocate(file: Any, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
    """Create a contiguous dataset whose space in the file is allocated and not written; its `h5py.h5d.DatasetID`.

    h5py's own way takes 0.3 ms for each dataset.
    """
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    kind = h5py.h5t.py_create(dtype, logical=True)
    space = h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)
    return h5py.h5d.create(file.id, name.encode(), kind, space, layout)


@contextmanager
def hdf5_writer(path: Path) -> Iterator[Any]:
    """An `h5py.File` to be written to ``path``; a full disk raises an error instead of ending the process.

    HDF5 crashes the process if it can't write the rest of a file while closing it (h5py issue 914), so it writes to a
    `Sink`, which always reports success.

    Raises:
        OSError: the error of the first write that failed, raised once the file is closed.
    """
    # libver: the oldest layout (HDF5 1.8, 2008) that takes attributes above 64 KiB: thousands of class names.
    with Sink(path, "w+") as sink, h5py.File(sink, "w", libver="v108") as file:
        yield file
    if sink.error is not None:
        raise sink.error


class Sink(io.FileIO):
    """A file whose writes never fail: it keeps the first error in ``error`` and drops all later writes."""

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write all of ``data`` at the position."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest and self.error is None:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.error = error
        return size

    def readinto(self, buffer: Any, /) -> int:
        """Fill ``buffer`` from the position; zeros for bytes that were dropped."""
        view = memoryview(buffer).cast("B")
        count = super().readinto(view)
        view[count:] = bytes(len(view) - count)
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        """Cut or extend the file."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0
