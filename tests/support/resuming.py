"""What the tests of runs that are cut off share: run files, launches, and how two ends are compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from distnn import checkpoint
from distnn.errors import CheckpointError
from tests.support.launch import Result, mpiexec
from tests.support.runs import DISTNN, run_file, saved

LIMIT = 60
STEPS = 21  # an epoch of the digits
MOMENTUM = {"learning_rate": 0.05, "momentum": 0.9}
OFTEN = {"every_steps": 4, "keep": 2}


def write(folder: Path, **sections: Any) -> Path:
    """A run file whose steps all have their line in ``metrics.jsonl``."""
    sections = {"optimizer": MOMENTUM, "checkpoint": OFTEN, "log": {"interval": 0.0}, **sections}
    return run_file(folder / "run.toml", **sections)


def command(run: Path, out: Path, *more: str | Path) -> Sequence[str | Path]:
    return [*DISTNN, "train", run, "--out", out, "--quiet", *more]


def train(n: int, run: Path, out: Path, *more: str | Path, launcher: str = "mpich") -> Result:
    return mpiexec(n, command(run, out, *more), launcher=launcher, timeout=LIMIT)


def finished(n: int, run: Path, out: Path, *more: str | Path, launcher: str = "mpich") -> checkpoint.Checkpoint:
    """The last checkpoint of a run that finishes without a complaint."""
    result = train(n, run, out, *more, launcher=launcher)
    assert result.returncode == 0, result
    assert "error" not in result.stderr, result
    return saved(out)


def newest(out: Path) -> int | None:
    """The step of the checkpoint that a run must go on from; None if there is none yet."""
    try:
        return int(checkpoint.newest_good(out, pytest.fail)[1].progress["step"])
    except CheckpointError:
        return None


def progress(saved: checkpoint.Checkpoint) -> dict[str, Any]:
    """What two runs to the same end have in common."""
    return {key: value for key, value in saved.progress.items() if key not in ("seconds", "best")}
