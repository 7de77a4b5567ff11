"""A run that is killed at any moment, again and again, ends as if it never was."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np

from distnn import checkpoint
from tests.support.launch import Launch
from tests.support.resuming import LIMIT, STEPS, command, finished, newest, progress, write
from tests.support.runs import distance, losses, metrics


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


def test_a_run_killed_twenty_times_on_any_number_of_ranks_ends_as_if_it_never_was(tmp_path: Path) -> None:
    run, chance = write(tmp_path, train={"epochs": 30}), random.Random(1)
    whole = finished(1, run, tmp_path / "whole")
    out = tmp_path / "run"
    for _ in range(20):
        killed(chance.randint(1, 4), run, out, chance)
    resumed = newest(out)
    assert resumed is not None
    assert STEPS < resumed < 30 * STEPS
    end = finished(chance.randint(1, 4), run, out, "--resume", "auto")
    assert distance(end.parameters, whole.parameters) < 1e-5
    assert distance(end.optimizer["velocity"], whole.optimizer["velocity"]) < 1e-5
    assert progress(end) == progress(whole)
    assert [path.name for path in (out / "checkpoints").glob("*.tmp")] == []
    found, expected = losses(out), losses(tmp_path / "whole")
    assert found.keys() == expected.keys() == set(range(1, 30 * STEPS + 1))
    np.testing.assert_allclose([found[k] for k in expected], list(expected.values()), rtol=1e-5)


def test_on_the_same_number_of_ranks_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    run, chance = write(tmp_path, train={"epochs": 10}), random.Random(2)
    whole = finished(2, run, tmp_path / "whole")
    for _ in range(3):
        killed(2, run, tmp_path / "run", chance)
    end = finished(2, run, tmp_path / "run", "--resume", "auto")
    assert checkpoint.digest(end) == checkpoint.digest(whole)
    assert end.progress["best"] == whole.progress["best"]
