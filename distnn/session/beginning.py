"""Where a run begins: its folder, and the checkpoint that it goes on from."""

from __future__ import annotations

from pathlib import Path

from distnn import checkpoint
from distnn.checkpoint.environment import differences
from distnn.config import RunSettings, to_toml
from distnn.data.file.atomic import new_file
from distnn.errors import RunFileError
from distnn.session.lock import unwritable
from distnn.session.sources import SOURCE


def begin(folder: Path, resume: str | None, warnings: list[str]) -> tuple[Path, checkpoint.Checkpoint] | None:
    """The checkpoint to begin with, on rank 0; nothing that is there is overwritten."""
    if resume is None and ((folder / "run.toml").exists() or (folder / "checkpoints").exists()):
        raise RunFileError(
            f"the output folder {folder} holds another run already, and nothing in it was changed. Go on with that run "
            f"(--resume {folder}), write elsewhere (--out DIR), or remove the folder."
        )
    if resume == "auto":
        saved = folder / "checkpoints"
        return checkpoint.newest_good(saved, warnings.append) if any(saved.glob("step-*.h5")) else None
    if resume is None:
        return None
    given = Path(resume)
    if given.is_dir():
        return checkpoint.newest_good(_checkpoints(given), warnings.append)
    path = checkpoint.resolve(given)
    return path, checkpoint.load(path)


def folder_of(out: Path | None, resume: str | None) -> Path:
    """The folder that a run writes to: what ``--out`` says, or the one whose checkpoint it resumes.

    Raises:
        RunFileError: neither says; or the checkpoint's own link leads out of its folder, into another run's.
    """
    if out is not None:
        return out
    if resume in (None, "auto"):
        raise RunFileError("a run needs a folder to write to: give --out.")
    given = Path(str(resume))
    saved = _checkpoints(given) if given.is_dir() else given.parent
    path = checkpoint.resolve(given)
    if path.resolve().parent != saved.resolve():
        raise RunFileError(
            f"--resume {given}: its checkpoint {path} lies in another folder, {path.resolve().parent}. Name the folder "
            f"to write to with --out, or resume the run in that one."
        )
    return saved.resolve().parent


def _checkpoints(folder: Path) -> Path:
    return folder if folder.name == "checkpoints" else folder / "checkpoints"


def make_folder(folder: Path, settings: RunSettings) -> None:
    """The run's folder with the resolved run file, cleared of what a killed writer left; its lock is this run's."""
    try:
        (folder / "checkpoints").mkdir(exist_ok=True)
        with new_file(folder / "run.toml", force=True) as path:
            path.write_text(to_toml(settings), encoding="utf-8")
    except OSError as error:
        raise unwritable(folder, error) from None
    checkpoint.clean(folder / "checkpoints")


def other_bits(saved: checkpoint.Checkpoint, settings: RunSettings, now: dict[str, str]) -> list[str]:
    """Why a reproducible run may not end with the bits that it would have had without being resumed."""
    found = [differences(saved.environment, now)]
    before = saved.settings.get("parallel", {})
    if not before.get("reproducible"):
        found.append("parallel.reproducible was not set")
    elif before.get("shards") != settings.parallel.shards:
        found.append(f"parallel.shards was {before.get('shards')} and is {settings.parallel.shards}")
    reasons = "; ".join(reason for reason in found if reason)
    return [f"the bits may differ from those of the run without a break: {reasons}."] if reasons else []


def other_sources(saved: checkpoint.Checkpoint, now: dict[str, str]) -> list[str]:
    """Which classes of the user's own have another source file than when the checkpoint was written."""
    before = saved.environment
    changed = [name.removeprefix(SOURCE) for name, value in now.items() if before.get(name, value) != value]
    return [f"the source file of {name} has changed since the checkpoint was written." for name in changed]
