"""What most tests of the command line rely on: that a forked command is one like any other."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.forked import forked
from tests.support.launch import Launch, environment, launchers, mpiexec
from tests.support.runs import DISTNN, distnn, metrics, run_file, started
from tests.support.thorough import THOROUGH
from tests.support.warm import rank, warm


@pytest.mark.parametrize(
    "args",
    [
        ["data", "digits", "-o", "new.h5"],
        ["data", "digits", "-o", "old.h5"],
        ["train", "--frob"],
        ["train", "run.toml", "--set", "train.epoch=1"],
        ["-h"],
    ],
    ids=["done", "refused", "bad usage", "bad setting", "help"],
)
def test_it_says_and_does_what_a_new_process_does(args: list[str], tmp_path: Path) -> None:
    ends = []
    for name, way in (("forked", distnn), ("started", started)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "old.h5").write_text("mine")
        run_file(folder / "run.toml")
        done = way(*args, cwd=folder)
        ends.append((done.returncode, done.stdout, done.stderr, sorted(path.name for path in folder.iterdir())))
    assert ends[0] == ends[1]


def test_it_is_killed_at_its_time_limit(tmp_path: Path) -> None:
    run = run_file(tmp_path / "run.toml", train={"epochs": 10**6})
    with pytest.raises(subprocess.TimeoutExpired):
        forked(["train", str(run), "--out", str(tmp_path / "out")], cwd=None, env=environment("none"), timeout=3)
    steps = metrics(tmp_path / "out", "train")
    assert distnn("--version").stdout.startswith("distnn "), "the next one is served"
    assert metrics(tmp_path / "out", "train") == steps, "it trains no longer"


# And on several ranks of a launch


@pytest.mark.parametrize("launcher", launchers() if THOROUGH else launchers()[:1])
def test_on_ranks_it_says_and_does_what_new_processes_do(launcher: str, tmp_path: Path) -> None:
    ends = []
    for name in ("warm", "new"):
        folder = tmp_path / name
        folder.mkdir()
        run_file(folder / "run.toml")
        results = []
        for args in (["train", "run.toml", "--out", "out", "--quiet"], ["train", "run.toml", "--out", "out"]):
            new = [*DISTNN, *args]
            results.append(
                warm(2, args, launcher=launcher, cwd=folder)
                if name == "warm"
                else mpiexec(2, new, launcher=launcher, cwd=folder)
            )
        trained, refused = results
        assert trained.returncode == 0 and refused.returncode == 2, results
        fingerprint = [line for line in trained.stdout.splitlines() if "fingerprint" in line]
        error = [line for line in refused.stderr.splitlines() if line.startswith("distnn:")]
        start = metrics(folder / "out", "start")[0]
        ends.append((fingerprint, error, start["ranks"], start["threads_reason"], start["kernels"]))
    assert ends[0] == ends[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGKILL, None)])
def test_a_signal_to_a_rank_is_one_to_its_fork(number: int, code: int | None, tmp_path: Path) -> None:
    run = run_file(tmp_path / "run.toml", train={"epochs": 10**6}, log={"interval": 0.0})
    with Launch(2, [*rank(), "train", run, "--out", tmp_path / "out"]) as launch:
        while not metrics(tmp_path / "out", "train"):
            assert launch.process.poll() is None, launch.output()
            time.sleep(0.05)
        os.kill(launch.ranks()[1], number)
        result = launch.wait(60)
    assert result.returncode == code if code else result.returncode != 0, result
    steps = metrics(tmp_path / "out", "train")
    time.sleep(0.3)
    assert metrics(tmp_path / "out", "train") == steps, "it trains no longer"
