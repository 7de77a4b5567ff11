"""RUN/checkpoints: files by step, and the links `latest` and `best`, so that nothing saved is ever lost.

A file gets its name only when it is complete, on the disk and verified; a link is replaced in one step; only then do
files that nobody needs any more go. A run killed anywhere in between leaves the former state, the new state, and at
most a `*.tmp` file, which `clean` removes.
"""

from __future__ import annotations

import errno
import operator
import os
import re
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from distnn.data.files import sync
from distnn.errors import CheckpointError
from distnn.train.checkpoint.content import Checkpoint
from distnn.train.checkpoint.file import load
from distnn.train.checkpoint.writing import write

FOLDER = "checkpoints"
LATEST = "latest"
BEST = "best"

_NAME = re.compile(r"step-(\d{8,})\.h5")
_TEMPORARY = re.compile(r"(step-\d{8,}\.h5|latest|best)\.\d+\.tmp")
#: Some parallel file systems can't sync a folder; they keep its names in order by themselves.
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def save(folder: str | Path, checkpoint: Checkpoint, *, keep: int, best: bool) -> Path:
    """Save a checkpoint in ``folder`` as ``step-00001234.h5``; called on rank 0 alone.

    Arguments:
        folder: RUN/checkpoints; made if need be.
        checkpoint: its ``progress["step"]`` names the file; a file of the same step is replaced.
        keep: how many of the newest files stay, besides those that `latest` and `best` name.
        best: whether `best` shall name this one.

    Raises:
        CheckpointError: if anything fails: a full disk, a read-only folder, a file that reads back otherwise. What was
            saved before is still there, and the links name it.
    """
    folder = Path(folder)
    final = folder / _file_name(checkpoint)
    try:
        _make(folder)
        _write(final, checkpoint)
        # `best` first: a run killed in between resumes from the former checkpoint and comes by here again.
        for link in (BEST, LATEST) if best else (LATEST,):
            _link(folder / link, final.name)
        _sync_folder(folder)
        _prune(folder, _step(final), keep)
    except CheckpointError:
        raise
    except Exception as error:
        raise _failure(final, error) from error
    return final


def newest_good(folder: str | Path, warn: Callable[[str], None]) -> tuple[Path, Checkpoint]:
    """The newest checkpoint that can be read, and its path: the one `latest` names, else the one before it, and so on.

    Arguments:
        folder: RUN/checkpoints, or RUN.
        warn: gets one text for each file that had to be passed over, with the reason.

    Raises:
        CheckpointError: if there is no good one.
    """
    folder = _checkpoints_in(Path(folder))
    reasons = []
    for path in _candidates(folder):
        try:
            return path, load(path)
        except CheckpointError as error:
            reasons.append(str(error))
            warn(f"passing over {path.name} for the checkpoint before it: {error}")
    if reasons:
        raise CheckpointError(
            f"{folder}: none of the {len(reasons)} checkpoints can be read. Start the run anew, or restore a "
            f"checkpoint from a backup. {' '.join(reasons)}"
        )
    raise _nothing(folder)


def resolve(path: str | Path, warn: Callable[[str], None] = warnings.warn) -> Path:
    """The checkpoint file that a CHECKPOINT argument means.

    Arguments:
        path: the file, a link to it such as `latest`, the checkpoints folder, or the run directory.
        warn: told, where `latest` names no file, what is taken in its place.

    Raises:
        CheckpointError: if there is no such thing, naming what was looked for.
    """
    path = Path(path)
    if path.is_file():
        return _target(path)
    if path.is_dir():
        folder = _checkpoints_in(path)
        latest = folder / LATEST
        if latest.is_file():
            return _target(latest)
        return _instead(latest, folder, warn)
    if path.is_symlink() and path.name == LATEST:
        return _instead(path, path.parent, warn)
    link = f" (it is a link to {os.readlink(path)}, which isn't there)" if path.is_symlink() else ""
    raise CheckpointError(
        f"{path}: there is no such checkpoint{link}. Expected a file such as RUN/checkpoints/step-00001234.h5, the "
        f"link RUN/checkpoints/latest, or a run directory that holds '{FOLDER}'; check the path."
    )


def clean(folder: str | Path) -> list[Path]:
    """Remove what a killed writer left half written in RUN/checkpoints, and say what that was.

    Call it before the run saves, never while another one saves to the same folder.

    Raises:
        CheckpointError: if the leftovers can't be removed.
    """
    folder = Path(folder)
    removed = []
    try:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if _TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)
                removed.append(path)
    except OSError as error:
        raise CheckpointError(
            f"{folder}: the leftovers of a killed run can't be removed ({error.strerror}); "
            f"check that the folder is yours and writable."
        ) from error
    return removed


def _file_name(checkpoint: Checkpoint) -> str:
    step: Any = checkpoint.progress.get("step")
    with suppress(TypeError):  # numpy's integers are fine, floats aren't
        if operator.index(step) >= 0:
            return f"step-{operator.index(step):08d}.h5"
    raise CheckpointError(
        f"checkpoint: progress['step'] must be the number of steps done, which names the file, but it is {step!r}."
    )


def _step(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match.group(1)) if match else -1


def _make(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)


def _write(final: Path, checkpoint: Checkpoint) -> None:
    temporary = final.with_name(f"{final.name}.{os.getpid()}.tmp")
    try:
        write(temporary, checkpoint)
        os.replace(temporary, final)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _link(link: Path, name: str) -> None:
    """Make ``link`` name ``name`` in one step: at any moment it names the former file or the new one."""
    temporary = link.with_name(f"{link.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # of a killed run that had our process id, as in containers
        os.symlink(name, temporary)
        os.replace(temporary, link)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    try:
        sync(folder)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def _prune(folder: Path, step: int, keep: int) -> None:
    """Remove all but the newest ``keep`` up to ``step``, and those the links name.

    Files of later steps stay: whoever goes back to an earlier checkpoint still has what came after it, and the files
    of the new course aren't crowded out by those of the old one.
    """
    named = {_target(folder / link).name for link in (LATEST, BEST)}
    past = [path for path in _by_step(folder) if _step(path) <= step]
    for path in past[max(keep, 1) :]:
        if path.name not in named:
            path.unlink(missing_ok=True)


def _by_step(folder: Path) -> list[Path]:
    """The checkpoint files of the folder, the highest step first."""
    files = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    return sorted(files, key=_step, reverse=True)


def _candidates(folder: Path) -> list[Path]:
    """The one `latest` names, those before it, and last the later ones, which `latest` has been taken back from."""
    if not folder.is_dir():
        return []
    files = _by_step(folder)
    latest = folder / LATEST
    if not latest.is_file():
        return files
    first = _target(latest)
    return sorted({first, *files}, key=lambda path: (path == first, _step(path) <= _step(first), _step(path)))[::-1]


def _target(path: Path) -> Path:
    """The file that a link names, as a path beside the link; any other path as it is."""
    return path.parent / os.readlink(path) if path.is_symlink() else path


def _checkpoints_in(path: Path) -> Path:
    """The checkpoints folder that ``path`` is, or holds."""
    return path / FOLDER if (path / FOLDER).is_dir() else path


def _instead(link: Path, folder: Path, warn: Callable[[str], None]) -> Path:
    found, _ = newest_good(folder, warn)
    what = f"names {os.readlink(link)}, which isn't there" if link.is_symlink() else "is missing"
    warn(f"{link}: the link {what}; taking {found.name}, the newest good checkpoint.")
    return found


def _nothing(folder: Path) -> CheckpointError:
    return CheckpointError(
        f"{folder}: there is no checkpoint here. Looked for '{LATEST}' and files such as step-00001234.h5, in this "
        f"folder and in '{FOLDER}' inside it. Check the path, or start the run without resuming."
    )


def _failure(path: Path, error: Exception) -> CheckpointError:
    what, cure = f"{type(error).__name__}: {error}", "Please report this as a fault of distnn"
    if isinstance(error, OSError):
        what, cure = error.strerror or what, "Check that the folder exists, is yours and is writable"
        if error.errno in _FULL:
            cure = "Make room or raise your quota, or keep fewer checkpoints ([checkpoint] keep)"
            with suppress(OSError):
                cure = f"{shutil.disk_usage(path.parent).free / 1e6:.0f} MB are free there. {cure}"
    return CheckpointError(
        f"{path}: the checkpoint can't be saved: {what}. {cure}. The checkpoints saved before are intact, and the "
        f"run can be resumed from them."
    )
