"""Files that distnn writes: each beside its place and then renamed, so that it is there as a whole or as it was."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from distnn.errors import DataError

#: Some parallel file systems can't sync a folder; they don't need it to keep its names consistent.
NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


@contextmanager
def new_file(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    """A temporary path beside ``path``, which is renamed to ``path`` when the block ends without an error.

    The bytes are on disk before the rename, and the rename before the return: a crash leaves the old file or the new
    one, never a part. If the block fails, the temporary file is removed and ``path`` is unchanged. A symbolic link
    stays: the file that it leads to is replaced.

    Args:
        path: the file to write.
        force: replace an existing file.

    Raises:
        DataError: for what `check` refuses, or if a write failed.
    """
    path = Path(path)
    check(path, force=force)
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    # Another rank's, job's or host's has another name; 50 characters of at most 4 bytes, for 255 bytes is the limit.
    temporary = target.with_name(f".{target.name[:50]}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        sync(temporary)
        with suppress(FileNotFoundError):
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
        sync_folder(target.parent)
    except OSError as error:
        raise refused(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write(path: str | Path, content: str | bytes, *, force: bool = False) -> None:
    """Write this file, a text in UTF-8, as `new_file` does; what is no file (a pipe, /dev/stdout) is written into.

    Raises:
        DataError: for what `check` refuses, or if a write failed.
    """
    path, data = Path(path), content.encode() if isinstance(content, str) else content
    if _is_stream(path):
        try:
            path.write_bytes(data)
        except OSError as error:
            raise refused(path, error) from error
    else:
        with new_file(path, force=force) as temporary:
            temporary.write_bytes(data)


def check(path: Path, *, force: bool) -> None:
    """Refuse a path at which no file can be written, before there is the work of making its content.

    Raises:
        DataError: ``path`` exists and ``force`` is not set, it is a folder or a device, or its folder is missing.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder, but a file is to be written there; give a file name such as data.h5.")
    if not path.parent.is_dir():
        raise DataError(
            f"{path} can't be written: there is no folder {path.parent}; create it first (mkdir -p {path.parent})."
        )
    if _is_stream(path):
        raise DataError(f"{path} is a device, a pipe or a socket, but this can only be written to a file.")
    if os.path.lexists(path) and not force:
        raise DataError(
            f"{path} already exists and was left as it is; choose another name, or replace it with --force "
            "(force=True in Python)."
        )


def _is_stream(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def refused(path: Path, *reasons: object) -> DataError:
    """The error that says why ``path`` could not be written."""
    texts = (reason.strerror or reason if isinstance(reason, OSError) else reason for reason in reasons)
    causes = "; ".join(" ".join(str(text).split()) for text in texts)
    return DataError(
        f"{path} could not be written: {causes}. Nothing was changed; check the free space, the quota and the "
        "permissions of its folder."
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
