"""RUN/checkpoints: files by step, and the links `latest` and `best`, so that nothing saved is ever lost.

A file gets its name only when it is complete, on the disk and verified; a link is replaced in one step; only then do
files that nobody needs any more go. A run killed anywhere in between leaves the former state, the new state, and at
most a `*.tmp` file, which `clean` removes.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from distnn.checkpoint.content import Checkpoint
from distnn.checkpoint.file import load
from distnn.errors import CheckpointError

FOLDER = "checkpoints"
LATEST = "latest"
BEST = "best"

_NAME = re.compile(r"step-(\d{8,})\.h5")
_TEMPORARY = re.compile(r"(step-\d{8,}\.h5|latest|best)\.\d+\.tmp")


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


def point(link: Path, name: str) -> None:
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


def prune(folder: Path, newest: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` files up to that of ``newest``, and those the links name.

    Files of later steps stay: whoever goes back to an earlier checkpoint still has what came after it, and the files
    of the new course aren't crowded out by those of the old one.
    """
    named = {_target(folder / link).name for link in (LATEST, BEST)}
    past = [path for path in _by_step(folder) if _step(path) <= _step(newest)]
    for path in past[max(keep, 1) :]:
        if path.name not in named:
            path.unlink(missing_ok=True)


def _step(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match.group(1)) if match else -1


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
