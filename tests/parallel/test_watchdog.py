"""A rank that doesn't come on, in whatever phase and for whatever reason, ends the job, and is named."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path

import pytest

from tests.launch import CURES, Launch, Result, launchers, usable
from tests.parallel.failing import MEETING, PHASES
from tests.runs import run_file, saved

HOST = socket.gethostname()
#: Seconds without work that the ranks bear, and that a job may then take to end; a loaded machine starts slowly.
PATIENCE, LIMIT = 3, 40


def held_up(launcher: str, phase: str, fault: str, folder: Path) -> Result:
    """How a job of three ranks ended, one of which met a fault in a phase."""
    run = run_file(
        folder / "run.toml",
        train={"epochs": 3},
        checkpoint={"every_steps": 7},
        parallel={"timeout": PATIENCE},
    )
    argv = [sys.executable, "-m", "tests.parallel.failing", phase, "1", fault, "train", run, "--out", folder / "out"]
    env = {"DISTNN_TEST_PATIENCE": str(PATIENCE)}
    with Launch(3, argv, launcher=launcher, env=env) as launch:
        return launch.wait(PATIENCE + LIMIT)


def named(result: Result) -> None:
    assert result.returncode != 0, result
    errors = "\n".join(line for line in result.stderr.splitlines() if line.startswith("distnn: error: "))
    assert re.search(r"rank [02] of 3 \(host \S+\) has waited for other ranks for 3 s, in ", errors), result


@pytest.mark.parametrize("phase", [*PHASES, *MEETING])
def test_a_rank_that_was_stopped(phase: str, tmp_path: Path) -> None:
    result = held_up("mpich", phase, "stop", tmp_path)
    named(result)
    assert f"distnn: error: rank 1 (host {HOST}) is the cause: nothing of it has run for" in result.stderr, result
    if phase in ("evaluation", "finish"):
        assert saved(tmp_path / "out").progress["step"] > 0


@pytest.mark.parametrize(("launcher", "phase"), [("mpich", "checkpoint"), ("openmpi", "data")])
def test_a_rank_that_is_stuck_shows_where(launcher: str, phase: str, tmp_path: Path) -> None:
    if not usable(launcher):
        pytest.skip(CURES[launcher])
    result = held_up(launcher, phase, "stuck", tmp_path)
    assert result.returncode != 0, result
    assert re.search(rf"rank 1 of 3 \(host {HOST}\) has not come on for 3 s, in ", result.stderr), result
    assert "time.sleep(1000)" in result.stderr, "the stack of the culprit"


def test_a_rank_that_keeps_the_interpreters_lock(tmp_path: Path) -> None:
    result = held_up("mpich", "data", "locked", tmp_path)
    assert result.returncode != 0, result
    assert "rank 1" in result.stderr, result


@pytest.mark.parametrize("launcher", launchers())
def test_a_rank_that_was_stopped_in_a_reduction(launcher: str, tmp_path: Path) -> None:
    named(held_up(launcher, "reduce", "stop", tmp_path))
