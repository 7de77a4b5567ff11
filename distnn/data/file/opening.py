"""Opening data files: patterns, locks, filters, and why it didn't work."""

from __future__ import annotations

import errno
import glob
import importlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py

from distnn.errors import DataError


def several(path: Path) -> list[Path]:
    """The files that a pattern names, in the order of their names; none if it isn't a pattern."""
    if path.exists() or not glob.has_magic(str(path)):
        return []
    found = sorted(glob.glob(str(path), recursive=True))
    if not found:
        raise DataError(
            f"No file fits the pattern {path} (looked in {Path.cwd()}); check it, or make data files with `distnn "
            "data`."
        )
    return [Path(name) for name in found]


def missing_filters(dataset: Any) -> list[str]:
    """The filters that a dataset's chunks went through and this HDF5 doesn't have."""
    properties = dataset.id.get_create_plist()
    found = [properties.get_filter(place) for place in range(properties.get_nfilters())]
    return [
        f"HDF5's filter {number}" + (f" ({name.decode(errors='replace')})" if name else "")
        for number, _, _, name in found
        if not h5py.h5z.filter_avail(number)
    ]


def load_filters(dataset: Any) -> None:
    """Take what hdf5plugin brings, if it is installed and needed."""
    if missing_filters(dataset):
        with suppress(ImportError):
            importlib.import_module("hdf5plugin")


def open_file(path: Path, comm: Any = None) -> Any:
    """The HDF5 file, for reading; with an mpi4py communicator by all of its ranks together.

    Raises:
        DataError: it is missing, locked, or no HDF5 file.
    """
    if not path.exists():
        raise DataError(
            f"There is no data file {path} (looked in {path.absolute().parent}); check the path, or make one with "
            "`distnn data`."
        )
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected an HDF5 data file.")
    try:
        return _open_locked(path) if comm is None else h5py.File(path, "r", driver="mpio", comm=comm)
    except PermissionError as error:
        raise DataError(f"{path} can't be read: permission denied. Check its permissions (ls -l {path}).") from error
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise DataError(
                f"{path} is locked: another program has it open for writing. Wait until it has finished, or set "
                "HDF5_USE_FILE_LOCKING=FALSE if nothing writes to it any more."
            ) from error
        raise damaged(path, "it", error) from error


def _open_locked(path: Path) -> Any:
    """Open read-only with a shared lock, or with none where the file system has no locks.

    HDF5's "best-effort" ignores only ENOSYS, but parallel file systems and their exports answer with other codes, too.
    A data file is renamed into place whole, so a reader loses nothing without the lock.
    """
    try:
        return h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        if "unable to lock file" not in str(error) or error.errno in (errno.EAGAIN, errno.EACCES):
            raise
        return h5py.File(path, "r", locking=False)


def damaged(path: Path, what: str, error: Exception) -> DataError:
    """The error for a file that HDF5 can't read ``what`` of."""
    reason = " ".join(str(error).split())
    size = path.stat().st_size if path.exists() else 0
    return DataError(
        f"{path} ({size} bytes) can't be read as HDF5: {what} could not be read ({reason}). It is another kind of "
        "file, or was cut short or damaged when it was copied or written; copy it again, or make it anew with "
        "`distnn data`."
    )
