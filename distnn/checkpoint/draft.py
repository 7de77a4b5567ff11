"""Saving a checkpoint from one process or several: it gets its name once it is complete, on disk and verified."""

from __future__ import annotations

import errno
import operator
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from distnn.checkpoint.content import Checkpoint, arrays, document, documents, flat, heading
from distnn.checkpoint.extents import DifferenceError, Extent, checksum, store
from distnn.checkpoint.file import FORMAT, VERSION, datasets, reading, text_of
from distnn.checkpoint.folder import BEST, LATEST, point, prune
from distnn.data.file.atomic import allocate
from distnn.errors import CheckpointError, described
from distnn.outputs import sync_folder

_LIBVER = ("v110", "v110")
_HEXADECIMAL = 64
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def save(folder: str | Path, checkpoint: Checkpoint, *, keep: int, best: bool) -> Path:
    """Save a checkpoint in ``folder`` as ``step-00001234.h5``. The arrays must not change until it returns.

    Arguments:
        folder: RUN/checkpoints; created if it doesn't exist.
        checkpoint: its ``progress["step"]`` names the file; a file of the same step is replaced.
        keep: how many of the newest files to keep, besides those that `latest` and `best` name.
        best: whether `best` is to name this one.

    Raises:
        CheckpointError: if anything fails: a full disk, a read-only folder, a file that reads back differently. The
            checkpoints saved before still exist, and the links name them.
    """
    draft = Draft(folder, checkpoint)
    with draft.attempt():
        store(draft.path, draft.extents.values())
    return draft.finish(keep=keep, best=best)


class Draft:
    """A checkpoint that is being saved: its file, under a temporary name, without the arrays' bytes and the checksum.

    Once every process has filled in its bytes with `fill`, `finish` makes the file a checkpoint; `discard` removes it.
    The arguments are those of `save`.

    Attributes:
        path: the file, whose name is unique.
        final: its name once it is finished.
        extents: the bytes of each array and their offset, by the array's path in the file.

    Raises:
        CheckpointError: if the file can't be created, or the content can't be stored.
    """

    def __init__(self, folder: str | Path, checkpoint: Checkpoint) -> None:
        folder = Path(folder)
        self.final = folder / _file_name(checkpoint)
        self.path = self.final.with_name(f"{self.final.name}.{secrets.randbits(63)}.tmp")
        with self.attempt():
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
                sync_folder(folder.parent)
            self._content, self._texts = arrays(checkpoint), documents(checkpoint)
            self.extents = self._lay_out(checkpoint)

    def _lay_out(self, checkpoint: Checkpoint) -> dict[str, Extent]:
        """Create the file, and find out where in it the arrays' bytes belong."""
        extents = {}
        with _hdf5_errors(), h5py.File(self.path, "w", libver=_LIBVER, locking=False) as file:
            file.attrs["format"] = np.bytes_(FORMAT)
            file.attrs["version"] = VERSION
            file.attrs["sha256"] = np.bytes_("0" * _HEXADECIMAL)
            for name, text in self._texts.items():
                file.attrs[name] = np.bytes_(text.encode())
            slots = [f"optimizer/{slot}" for slot in checkpoint.optimizer]
            others = [group for group in ("state", "transforms") if getattr(checkpoint, group)]
            for group in ("parameters", "optimizer", *slots, *others):
                file.create_group(group)
            for name, array in self._content.items():
                place = allocate(file, name, array.shape, array.dtype).get_offset() or 0
                extents[name] = Extent(flat(array), place)
        return extents

    def finish(self, *, keep: int, best: bool) -> Path:
        """Write the checksum, give the file its name, and remove the files that aren't to be kept; see `save`.

        Raises:
            CheckpointError: if anything fails.
        """
        folder = self.final.parent
        with self.attempt():
            self.seal()
            os.replace(self.path, self.final)
            try:
                # `best` first: a run killed in between resumes from the previous checkpoint and saves this one again.
                for link in (BEST, LATEST) if best else (LATEST,):
                    point(folder / link, self.final.name)
            finally:  # a link that can't be replaced doesn't fill the disk
                sync_folder(folder)
                prune(folder, self.final, keep)
        return self.final

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
    def attempt(self) -> Iterator[None]:
        """If the block fails, discard the draft, and raise what `save` raises."""
        try:
            yield
        except BaseException as error:
            self.discard()
            if isinstance(error, Exception):
                raise _failure(self.final, error) from error
            raise

    def discard(self) -> None:
        """Remove the file, if it exists."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def fill(path: Path, final: Path, extents: Collection[Extent]) -> None:
    """Write this process's extents into a draft's file ``path``, sync them, read them back and compare.

    Others may fill in theirs at the same time. The error names the file that the draft is to be, ``final``.

    Raises:
        CheckpointError: if anything fails.
    """
    try:
        store(path, extents)
    except Exception as error:
        raise _failure(final, error) from error


@contextmanager
def _hdf5_errors() -> Iterator[None]:
    """Raise HDF5's errors as the system's, whose error number is in the exception or only in its text."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = re.search(r"errno = (\d+)", str(error))
        code = int(number.group(1)) if number else getattr(error, "errno", None)
        raise (OSError(code, os.strerror(code)) if code else OSError(errno.EIO, str(error))) from error


def _file_name(checkpoint: Checkpoint) -> str:
    step: Any = checkpoint.progress.get("step")
    with suppress(TypeError):  # numpy's integers are fine, floats aren't
        if operator.index(step) >= 0:
            return f"step-{operator.index(step):08d}.h5"
    raise CheckpointError(
        f"checkpoint: progress['step'] must be the number of steps done, which names the file, but it is {step!r}."
    )


def _failure(path: Path, error: Exception) -> CheckpointError:
    if isinstance(error, CheckpointError):
        return error
    what, cure = described(error), "Please report this as a fault of distnn"
    if isinstance(error, DifferenceError):
        what = f"what was read back differs from what was written ({error})"
        cure = "The disk or the memory is failing; use another file system or node"
    elif isinstance(error, OSError):
        what, cure = error.strerror or what, "Check that the folder exists, is yours and is writable"
        if error.errno in _FULL:
            cure = "Free some space, raise your quota, or keep fewer checkpoints ([checkpoint] keep)"
            with suppress(OSError):
                cure = f"{shutil.disk_usage(path.parent).free / 1e6:.0f} MB are free there. {cure}"
    return CheckpointError(
        f"{path}: the checkpoint can't be saved: {what}. {cure}. The checkpoints saved before are intact, and the "
        f"run can be resumed from them."
    )
