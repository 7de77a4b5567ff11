"""What most tests of the command line rely on: that a forked command is one like any other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.forked import forked
from tests.support.launch import environment
from tests.support.runs import distnn, metrics, run_file, started


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
