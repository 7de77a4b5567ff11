"""What the tests of runs that are cut off share: run files, launches, and how two ends are compared."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from distnn import checkpoint
from distnn.errors import CheckpointError
from tests.support.launch import Launch, Result
from tests.support.runs import DISTNN, LIMIT, distnn, metrics, run_file, saved
from tests.support.warm import warm

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
    """How a run ends; one rank needs no launcher."""
    argv = command(run, out, *more)
    if (n, launcher) != (1, "mpich"):
        return warm(n, argv[len(DISTNN) :], launcher=launcher, timeout=LIMIT)
    done = distnn(*argv[len(DISTNN) :])
    return Result(tuple(map(str, argv)), done.returncode, done.stdout, done.stderr, 0.0)


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
    return {key: value for key, value in saved.progress.items() if key not in ("seconds", "best", "reference")}


def killed(n: int, run: Path, out: Path, chance: random.Random) -> None:
    """Start or resume the run on ``n`` ranks, and kill all of it at a random moment: while it starts, or soon after it
    has saved something new."""
    before = newest(out)
    begun = len(metrics(out, "start"))
    with Launch(n, command(run, out, "--resume", "auto")) as launch:
        limit = chance.uniform(0, 1.2) if chance.random() < 0.25 else LIMIT
        due = (before or 0) + 4 * chance.randint(1, 5)
        deadline = time.monotonic() + limit
        while newest_name(out) < due and time.monotonic() < deadline:
            time.sleep(0.003)
        time.sleep(chance.uniform(0, 0.02))
        assert limit < LIMIT or newest_name(out) >= due, launch.output()
        assert launch.process.poll() is None, f"the run was to last longer: {launch.output()}"
        launch.kill()
        output = "".join(launch.output())
    assert "distnn: error" not in output, output
    assert "Traceback" not in output, output
    if len(metrics(out, "start")) > begun:
        assert metrics(out, "start")[-1]["start_step"] == (before or 0), "from the newest, never from scratch"
        assert metrics(out, "start")[-1]["ranks"] == n
    assert (newest(out) or 0) >= (before or 0), "what was saved is never lost"


def newest_name(out: Path) -> int:
    """The highest step of a checkpoint's name."""
    return max((int(path.stem[5:]) for path in (out / "checkpoints").glob("step-*.h5")), default=0)
