"""Writing a file whole or not at all, HDF5 files too."""

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
    """A temporary path beside ``path`` that takes its name once the block has ended well.

    The bytes are on disk before the rename, and the rename before the return: a crash leaves the old file or the new
    one, never a part. Whatever goes wrong inside the block, the temporary file is removed and ``path`` is untouched.

    Args:
        path: the file to write.
        force: replace a file that is already there.

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
    told = "; ".join(" ".join(str(reason).split()) for reason in reasons)
    return DataError(
        f"{path} could not be written: {told}. Nothing was changed; check the free space, the quota and the "
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
            f"{path} exists already and was left as it is; choose another name, or replace it with --force "
            "(force=True in Python)."
        )


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def allocate(file: Any, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
    """The `h5py.h5d.DatasetID` of a new contiguous dataset that has its place in the file, and nothing written to it.

    h5py's own way takes 0.3 ms for each.
    """
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    kind = h5py.h5t.py_create(dtype, logical=True)
    space = h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)
    return h5py.h5d.create(file.id, name.encode(), kind, space, layout)


@contextmanager
def hdf5_writer(path: Path) -> Iterator[Any]:
    """An `h5py.File` to be written to ``path``, which survives a full disk.

    HDF5 crashes the process when it can't write the rest of a file while closing it (h5py issue 914), so it writes
    through a `Sink`, which tells it that all went well.

    Raises:
        OSError: the first write that failed, once the file is closed.
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
    """A binary file that never refuses a write: it keeps the first error in ``error`` and drops what follows.

    The methods are those that h5py asks of a file object, with their usual meanings.

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
        """Fill ``buffer`` from the position; zeros for what was dropped."""
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
        """Nothing is held back."""
