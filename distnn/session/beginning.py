"""Where a run begins: its folder, and the checkpoint that it goes on from."""

from __future__ import annotations

from pathlib import Path

from distnn import checkpoint
from distnn.checkpoint.environment import differences
from distnn.config import RunSettings, to_toml
from distnn.errors import RunFileError
from distnn.session.sources import SOURCE


def begin(
    out: Path | None, resume: str | None, warnings: list[str]
) -> tuple[Path, tuple[Path, checkpoint.Checkpoint] | None]:
    """The run's folder and the checkpoint to begin with, on rank 0; nothing that is there is overwritten."""
    start = None
    if resume and resume != "auto":
        given = Path(resume)
        if given.is_dir():
            folder = given if given.name == "checkpoints" else given / "checkpoints"
            start = checkpoint.newest_good(folder, warnings.append)
        else:
            path = checkpoint.resolve(given)
            start = (path, checkpoint.load(path))
        out = out or start[0].resolve().parent.parent
    if out is None:
        raise RunFileError("a run needs a folder to write to: give --out.")
    if resume == "auto" and any((out / "checkpoints").glob("step-*.h5")):
        start = checkpoint.newest_good(out / "checkpoints", warnings.append)
    if resume is None and ((out / "run.toml").exists() or (out / "checkpoints").exists()):
        raise RunFileError(
            f"the output folder {out} holds another run already, and nothing in it was changed. Go on with that run "
            f"(--resume {out}), write elsewhere (--out DIR), or remove the folder."
        )
    return out, start


def make_folder(folder: Path, settings: RunSettings) -> None:
    """The run's folder with the resolved run file, cleared of what a killed writer left."""
    try:
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        (folder / "run.toml").write_text(to_toml(settings))
    except OSError as error:
        raise RunFileError(
            f"the output folder {folder} can't be written to: {error.strerror}. Choose another with --out."
        ) from None
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
