"""Saving a checkpoint, by one process or several: it gets its name once it is complete, on the disk and verified."""

from __future__ import annotations

import errno
import operator
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from distnn.checkpoint.blocks import Block, DifferenceError, store
from distnn.checkpoint.content import Checkpoint
from distnn.checkpoint.folder import BEST, LATEST, point, prune
from distnn.checkpoint.writing import Layout
from distnn.data.file.files import sync
from distnn.errors import CheckpointError, described

#: Some parallel file systems can't sync a folder; they keep its names in order by themselves.
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def save(folder: str | Path, checkpoint: Checkpoint, *, keep: int, best: bool) -> Path:
    """Save a checkpoint in ``folder`` as ``step-00001234.h5``. The arrays must not change until it returns.

    Arguments:
        folder: RUN/checkpoints; made if need be.
        checkpoint: its ``progress["step"]`` names the file; a file of the same step is replaced.
        keep: how many of the newest files stay, besides those that `latest` and `best` name.
        best: whether `best` shall name this one.

    Raises:
        CheckpointError: if anything fails: a full disk, a read-only folder, a file that reads back otherwise. What was
            saved before is still there, and the links name it.
    """
    draft = Draft(folder, checkpoint)
    with draft.attempt():
        _store(draft.path, draft.blocks.values())
    return draft.finish(keep=keep, best=best)


class Draft:
    """A checkpoint that is being saved: its file, under a name for the time being, without the arrays' bytes.

    Once those who have them have called `fill`, `finish` makes a checkpoint of it, or `discard` removes it.

    Arguments:
        folder: RUN/checkpoints; made if need be.
        checkpoint: its ``progress["step"]`` names the file.

    Attributes:
        path: the file; no other has ever had its name.
        final: what it will be called.
        blocks: by the path of each array in the file its bytes, and where they belong.

    Raises:
        CheckpointError: if the file can't be made, or the content not be stored.
    """

    def __init__(self, folder: str | Path, checkpoint: Checkpoint) -> None:
        folder = Path(folder)
        self.final = folder / _file_name(checkpoint)
        self.path = self.final.with_name(f"{self.final.name}.{secrets.randbits(63)}.tmp")
        with self.attempt():
            _make(folder)
            self._layout = Layout(self.path, checkpoint)
        self.blocks: Mapping[str, Block] = self._layout.blocks

    def finish(self, *, keep: int, best: bool) -> Path:
        """Give it its checksum and its name, and remove what is not to be kept beside it; see `save`.

        Raises:
            CheckpointError: if anything fails.
        """
        folder = self.final.parent
        with self.attempt():
            self._layout.seal()
            os.replace(self.path, self.final)
            # `best` first: a run killed in between resumes from the former checkpoint and comes by here again.
            for link in (BEST, LATEST) if best else (LATEST,):
                point(folder / link, self.final.name)
            _sync_folder(folder)
            prune(folder, self.final, keep)
        return self.final

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Whatever fails inside is the end of the draft, and raises what `save` does."""
        try:
            yield
        except BaseException as error:
            self.discard()
            if isinstance(error, Exception):
                raise _failure(self.final, error) from error
            raise

    def discard(self) -> None:
        """Remove the file, if it is there."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def fill(path: Path, final: Path, blocks: Iterable[Block]) -> None:
    """Write blocks into a draft's file, bring them to the disk, read them back and compare.

    Arguments:
        path: the draft's.
        final: what it will be called, for the error.
        blocks: of this process; others may fill in theirs at the same time.

    Raises:
        CheckpointError: if anything fails.
    """
    try:
        _store(path, blocks)
    except Exception as error:
        raise _failure(final, error) from error


def _store(path: Path, blocks: Iterable[Block]) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        store(descriptor, list(blocks))
    finally:
        os.close(descriptor)


def _file_name(checkpoint: Checkpoint) -> str:
    step: Any = checkpoint.progress.get("step")
    with suppress(TypeError):  # numpy's integers are fine, floats aren't
        if operator.index(step) >= 0:
            return f"step-{operator.index(step):08d}.h5"
    raise CheckpointError(
        f"checkpoint: progress['step'] must be the number of steps done, which names the file, but it is {step!r}."
    )


def _make(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    try:
        sync(folder)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def _failure(path: Path, error: Exception) -> CheckpointError:
    if isinstance(error, CheckpointError):
        return error
    what, cure = described(error), "Please report this as a fault of distnn"
    if isinstance(error, DifferenceError):
        what = f"read back, it isn't what was written ({error})"
        cure = "The disk or the memory is failing; use another file system or node"
    elif isinstance(error, OSError):
        what, cure = error.strerror or what, "Check that the folder exists, is yours and is writable"
        if error.errno in _FULL:
            cure = "Make room or raise your quota, or keep fewer checkpoints ([checkpoint] keep)"
            with suppress(OSError):
                cure = f"{shutil.disk_usage(path.parent).free / 1e6:.0f} MB are free there. {cure}"
    return CheckpointError(
        f"{path}: the checkpoint can't be saved: {what}. {cure}. The checkpoints saved before are intact, and the "
        f"run can be resumed from them."
    )
