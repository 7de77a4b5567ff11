"""Where a run begins: its folder, and the checkpoint that it goes on from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from distnn import checkpoint, outputs
from distnn.arrays import Array
from distnn.checkpoint.environment import differences
from distnn.config import RunSettings, to_toml
from distnn.config.text import show
from distnn.data import DataFile
from distnn.errors import CheckpointError, RunFileError
from distnn.session.lock import unwritable
from distnn.session.monitor import said_best
from distnn.session.sources import SOURCE

if TYPE_CHECKING:
    from distnn.session.build import Run

#: What the training data are called in the environment of an older checkpoint, which has no document about them.
DATA = "data"


def begin(folder: Path, resume: str | None, warnings: list[str]) -> tuple[Path, checkpoint.Checkpoint] | None:
    """The checkpoint to begin with, on rank 0; nothing that is there is overwritten."""
    if resume is None and _holds_a_run(folder):
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


def _holds_a_run(folder: Path) -> bool:
    """Whether a folder holds more than what a run leaves that was refused before its first step."""
    saved, records = folder / "checkpoints", folder / "metrics.jsonl"
    if not records.is_file() or not saved.is_dir() or any(saved.iterdir()):
        return saved.exists() or (folder / "run.toml").exists()
    with records.open("rb") as lines:
        return not all(line.startswith((b'{"kind": "start"', b'{"kind": "warning"')) for line in lines)


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
    path = checkpoint.resolve(given, warn=lambda _: None)  # who reads it tells which one is taken
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
    except OSError as error:
        raise unwritable(folder, error) from error
    outputs.write(folder / "run.toml", to_toml(settings), force=True)
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


def other_data(saved: checkpoint.Checkpoint, path: Path, data: Mapping[str, Any]) -> list[str]:
    """Whether the training samples are others than when the checkpoint was written.

    Raises:
        CheckpointError: they are, and the checkpoint stands in the middle of an epoch, whose rest there isn't then.
    """
    now = data["identity"]["train"]
    before = saved.data.get("identity", {}).get("train", saved.environment.get(DATA, now))
    if before == now:
        return []
    text = f"the training data are not those that {path} was made with: they were {before}, and are {now}"
    if saved.progress.get("window"):
        raise CheckpointError(
            f"{text}; it stands in the middle of an epoch, whose rest isn't known then. Resume from one at the end of "
            f"an epoch, or train on the data as they were."
        )
    return [f"{text}. The parameters and the optimiser's state are kept, and the next epoch is one of the new data."]


def same_transforms(saved: checkpoint.Checkpoint, path: Path, settings: RunSettings) -> dict[str, Array]:
    """What the transforms were fitted to, which a run keeps.

    Raises:
        CheckpointError: the run file has others than the checkpoint was made with.
    """
    before, now = saved.settings.get("transforms", {}), settings.transforms.table(list)
    for field in ("x", "y"):
        if before.get(field, []) != now[field]:
            raise CheckpointError(
                f"transforms.{field} was {show(before.get(field, []))} when {path} was made, and is "
                f"{show(now[field])}; what was trained on the former knows nothing of the latter. Leave it as it was, "
                f"or start a new run."
            )
    return saved.transforms


def keep_scale(file: DataFile, data: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Give data the meaning that they had for a checkpoint: once unsigned integers were scaled by their type.

    Arguments:
        data, settings: what the checkpoint says of its data, and its run file.
    """
    by_type = file.x_dtype.kind == "u" and data.get("scale") == 1.0 / float(np.iinfo(file.x_dtype).max)
    if by_type if data else "transforms" not in settings:
        file.scale_by_type()


def other_monitor(saved: checkpoint.Checkpoint, run: Run) -> list[str]:
    """Whether another value than before says which epoch is best."""
    now = str(run.monitor)
    before = said_best(saved.progress, now)
    if before == now or saved.progress.get("best") is None:
        return []
    return [f"the {before} said which epoch is best, and the {now} does now: best begins anew."]


def other_sources(saved: checkpoint.Checkpoint, now: dict[str, str]) -> list[str]:
    """Which classes of the user's own have another source file than when the checkpoint was written."""
    before = saved.environment
    changed = [name.removeprefix(SOURCE) for name, value in now.items() if before.get(name, value) != value]
    return [f"the source file of {name} has changed since the checkpoint was written." for name in changed]
