"""Opening data files: filters and locks, and the errors that say why a file can't be opened."""

from __future__ import annotations

import errno
import fcntl
import importlib
import os
import tempfile
import types
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import h5py

from distnn.errors import DataError

P = ParamSpec("P")
T = TypeVar("T")


def missing_filters(dataset: Any) -> list[str]:
    """The filters that a dataset's chunks need and that this HDF5 lacks."""
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(place) for place in range(properties.get_nfilters())]
    return [
        f"HDF5's filter {number}" + (f" ({name.decode(errors='replace')})" if name else "")
        for number, _, _, name in filters
        if not h5py.h5z.filter_avail(number)
    ]


def load_filters(dataset: Any) -> None:
    """Load the filters of hdf5plugin, if it is installed and they are needed."""
    if missing_filters(dataset):
        with suppress(ImportError):
            importlib.import_module("hdf5plugin")


def named(path: Path, read: Callable[P, T]) -> Callable[P, T]:
    """``read``, called from a frame that bears the name of the file that it reads.

    Where HDF5 crashes on a damaged file or comes to no end, Python can't run any more. faulthandler still shows the
    stack, and so which file it was.
    """

    def reads(*args: P.args, **options: P.kwargs) -> T:
        return read(*args, **options)

    code = reads.__code__.replace(co_filename=f"<{path}, which is damaged if HDF5 ends here>", co_name="read_the_file")
    function: Any = types.FunctionType(code, {}, closure=reads.__closure__)
    return cast("Callable[P, T]", function)


def check_file(path: Path, expected: str) -> None:
    """Refuse what is there but is no file, before it is opened: a pipe would be waited for, a device may have no end.

    Raises:
        DataError: naming what was ``expected``.
    """
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "a pipe, a device or a socket"
        raise DataError(f"{path} is {what}; expected {expected}.")


def open_file(path: Path, comm: Any = None) -> Any:
    """Open the HDF5 file for reading; with an mpi4py communicator, all of its ranks open it together.

    Raises:
        DataError: it is missing, locked, or not an HDF5 file.
    """
    if not path.exists():
        raise DataError(
            f"There is no data file {path} (looked in {path.absolute().parent}); check the path, or make one with "
            "`distnn data`."
        )
    check_file(path, "an HDF5 data file")
    try:
        if comm is None:
            return named(path, _open_locked)(path)
        return h5py.File(path, "r", driver="mpio", comm=comm)
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
    """Open read-only with a shared lock, or without one if the file system has no locks, or the file no name any more.

    HDF5's "best-effort" ignores only ENOSYS, but parallel file systems and their exports return other codes too. A data
    file gets its name once it is complete, so a reader doesn't need the lock.
    """
    if path.is_relative_to("/proc/self/fd"):
        return h5py.File(path.open("rb", buffering=0), "r")  # HDF5 itself opens no file without a real path
    try:
        return h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        if "unable to lock file" not in str(error) or error.errno in (errno.EAGAIN, errno.EACCES):
            raise
        return h5py.File(path, "r", locking=False)


def damaged(path: Path, what: str, error: Exception) -> DataError:
    """The error for a file of which HDF5 can't read ``what``."""
    reason = " ".join(str(error).split())
    size = path.stat().st_size if path.exists() else 0
    return DataError(
        f"{path} ({size} bytes) can't be read as HDF5: {what} could not be read ({reason}). It is another kind of "
        "file, or it was truncated or damaged when it was copied or written; copy it again, or make it again with "
        "`distnn data`."
    )


def unreadable(path: Path, datasets: Iterable[Any], what: str, error: Exception) -> DataError:
    """The error that says why ``what`` can't be read of datasets: a filter is missing, or the file is damaged."""
    for dataset in datasets:
        if missing := missing_filters(dataset):
            return DataError(
                f"{path}: {what} can't be read, because they are compressed by {missing[0]}, which this HDF5 lacks. "
                f"Install the filters (pip install hdf5plugin), or write the file again with gzip or without "
                f"compression (h5repack -f GZIP=4 OLD NEW)."
            )
    return damaged(path, what, error)


def library() -> str:
    """The versions of HDF5 and h5py, and whether several ranks can write one file with them."""
    parallel = "with MPI" if h5py.get_config().mpi else "without MPI"
    return f"{h5py.version.hdf5_version}, h5py {h5py.__version__} {parallel}"


def locking(folder: Path) -> str:
    """Try to lock a file in ``folder``: an empty text if that works, else what is wrong.

    HDF5 locks a whole file while it is open (flock). If that fails it refuses to open the file, unless
    HDF5_USE_FILE_LOCKING is FALSE or BEST_EFFORT (HDF5 1.14, release notes).
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=".distnn-doctor-", suffix=".h5", dir=folder)
    except OSError as error:
        return f"can't write there: {error.strerror}"
    try:
        with h5py.File(name, "w"):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return ""  # HDF5 holds the lock
        if os.environ.get("HDF5_USE_FILE_LOCKING", "").upper() in ("FALSE", "0"):
            return "switched off by HDF5_USE_FILE_LOCKING"
        return "files are not locked there: two programs may write to one at a time"
    except OSError as error:
        return f"HDF5 can't open a file there: {error}"
    finally:
        os.close(descriptor)
        os.unlink(name)
