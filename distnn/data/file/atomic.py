"""Atomic writing: a file, HDF5 files too, is written completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py

from distnn.errors import DataError


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
        sync(path.parent)
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
    sink = Sink(path)
    try:
        # libver: the oldest layout (HDF5 1.8, 2008) that takes attributes above 64 KiB: thousands of class names.
        with h5py.File(sink, "w", libver="v108") as file:
            yield file
    finally:
        os.close(sink.descriptor)
    if sink.error is not None:
        raise sink.error


class Sink:
    """A binary file whose writes never fail: it keeps the first error in ``error`` and drops all later writes.

    The methods are those that h5py requires of a file object, with their usual meanings.

    Args:
        path: the file to create.
    """

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        self.error: OSError | None = None
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to ``offset`` from the start, the position or the end."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: os.fstat(self.descriptor).st_size}
        self._position = base[whence] + offset
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def write(self, data: Any) -> int:
        """Write all of ``data`` at the position."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest and self.error is None:
            try:
                written = os.pwrite(self.descriptor, rest, self._position + size - len(rest))
            except OSError as error:
                self.error = error
            else:
                rest = rest[written:]
        self._position += size
        return size

    def read(self, size: int) -> bytes:
        """``size`` bytes at the position; zeros for those that were dropped."""
        data = os.pread(self.descriptor, size, self._position).ljust(size, b"\0")
        self._position += size
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` from the position; zeros for bytes that were dropped."""
        view = memoryview(buffer).cast("B")
        view[:] = self.read(len(view))
        return len(view)

    def truncate(self, size: int) -> int:
        """Cut or extend the file."""
        try:
            os.ftruncate(self.descriptor, size)
        except OSError as error:
            self.error = self.error or error
        return size

    def flush(self) -> None:
        """Nothing is buffered."""
