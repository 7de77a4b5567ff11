"""RUN/checkpoints: one file for each saved step, and the links `latest` and `best`; no saved state is ever lost.

A file gets its name only when it is complete, on the disk and verified. Then the links are replaced, each in one step,
and only then are files removed that are no longer needed. A run that is killed anywhere in between leaves the previous
state or the new one, and at most a `*.tmp` file, which `clean` removes.
"""

from __future__ import annotations

import errno
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
#: What file systems without symbolic links answer (CIFS, exFAT), and how long the name in a file in their stead may be.
_NO_LINKS, _LONGEST = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS), 100
_TEMPORARY = re.compile(r"(step-\d{8,}\.h5|latest|best)\.\d+\.tmp")


def newest_good(folder: str | Path, warn: Callable[[str], None]) -> tuple[Path, Checkpoint]:
    """The newest checkpoint that can be read, with its path: what `latest` names, else the one before, and so on.

    Arguments:
        folder: RUN/checkpoints, or RUN.
        warn: called with one text for each file that was passed over, with the reason.

    Raises:
        CheckpointError: if no file can be read.
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
            f"{folder}: none of the {len(reasons)} checkpoints can be read. Start the run again, or restore a "
            f"checkpoint from a backup. {' '.join(reasons)}"
        )
    raise CheckpointError(
        f"{folder}: there is no checkpoint here. Looked for '{LATEST}' and files such as step-00001234.h5, in this "
        f"folder and in '{FOLDER}' inside it. Check the path, or start the run without resuming."
    )


def resolve(path: str | Path, warn: Callable[[str], None] = warnings.warn, *, best: bool = False) -> Path:
    """The checkpoint file that a CHECKPOINT argument means.

    Arguments:
        path: the file, a link to it such as `latest`, the checkpoints folder, or the run directory.
        warn: called with the file that is taken instead, if `latest` names none, or `best` one that is gone.
        best: of a folder, take the one that `best` names, if there is one, and not `latest`.

    Raises:
        CheckpointError: if there is no checkpoint; it names what was looked for.
    """
    path = Path(path)
    link = _link_in(_checkpoints_in(path), warn, best=best) if path.is_dir() else path
    if link.is_file():
        return _target(link)
    if path.is_dir() or (path.is_symlink() and path.name == LATEST):
        found, _ = newest_good(link.parent, warn)
        what = f"names {os.readlink(link)}, which doesn't exist" if link.is_symlink() else "is missing"
        warn(f"{link}: the link {what}; taking {found.name}, the newest good checkpoint.")
        return found
    target = f" (it is a link to {os.readlink(path)}, which doesn't exist)" if path.is_symlink() else ""
    raise CheckpointError(
        f"{path}: there is no such checkpoint{target}. Expected a file such as RUN/checkpoints/step-00001234.h5, the "
        f"link RUN/checkpoints/latest, or a run directory that holds '{FOLDER}'; check the path."
    )


def _link_in(folder: Path, warn: Callable[[str], None], *, best: bool) -> Path:
    """The link of a folder to be followed."""
    link = folder / BEST
    if best and link.exists():
        return link
    if best and link.is_symlink():
        warn(f"{link}: the link names {os.readlink(link)}, which doesn't exist; taking {LATEST} in its stead.")
    return folder / LATEST


def clean(folder: str | Path) -> list[Path]:
    """Remove unfinished files that a killed run left in RUN/checkpoints; returns their paths.

    Call it before the run saves, never while another run saves to the same folder.

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
    """Make ``link`` name ``name`` in one step: at any moment it names the previous file or the new one.

    Where the file system has no symbolic links, it is a plain file that holds the name.
    """
    temporary = link.with_name(f"{link.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # left by a killed run with the same process id, as in containers
        try:
            os.symlink(name, temporary)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            temporary.write_text(f"{name}\n", encoding="utf-8")
        os.replace(temporary, link)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def prune(folder: Path, newest: Path, keep: int) -> None:
    """Remove all files up to ``newest`` but the last ``keep`` of them, and those that the links name.

    Files of later steps stay: a user who resumes from an earlier checkpoint keeps the later ones, and these don't count
    against the number of files to keep.
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
    """The checkpoint files of the folder, with the highest step first."""
    files = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    return sorted(files, key=_step, reverse=True)


def _candidates(folder: Path) -> list[Path]:
    """The file that `latest` names, then those before it, and last those of later steps."""
    if not folder.is_dir():
        return []
    files = _by_step(folder)
    latest = folder / LATEST
    if not latest.is_file():
        return files
    first = _target(latest)
    return sorted({first, *files}, key=lambda path: (path == first, _step(path) <= _step(first), _step(path)))[::-1]


def _target(path: Path) -> Path:
    """The file that a link, or a plain file in its stead, names, as a path beside it; any other path as it is."""
    if path.is_symlink():
        return path.parent / os.readlink(path)
    if path.name in (LATEST, BEST) and path.is_file() and path.stat().st_size < _LONGEST:
        name = path.read_text(encoding="utf-8", errors="replace").strip()
        if _NAME.fullmatch(name):
            return path.parent / name
    return path


def _checkpoints_in(path: Path) -> Path:
    """The checkpoints folder that ``path`` is, or holds."""
    return path / FOLDER if (path / FOLDER).is_dir() else path
