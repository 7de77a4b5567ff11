"""The HDF5 in use, and whether it can lock files in a folder: on some parallel file systems it can't."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

import h5py


def library() -> str:
    """HDF5's and h5py's versions, and whether several ranks can write one file with them."""
    parallel = "with MPI" if h5py.get_config().mpi else "without MPI"
    return f"{h5py.version.hdf5_version}, h5py {h5py.__version__} {parallel}"


def locking(folder: Path) -> str:
    """Try it: an empty text if locks work there, else what is wrong.

    HDF5 locks a file as a whole while it is open (flock); where that fails it refuses to open the file, unless
    HDF5_USE_FILE_LOCKING says FALSE or BEST_EFFORT (HDF5 1.14, release notes).
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
