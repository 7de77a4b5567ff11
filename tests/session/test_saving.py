"""Saving while the training goes on: what is saved, what a full disk does, and that nobody leaves before it is done."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from distnn import checkpoint
from distnn.arrays import Array
from distnn.checkpoint import background
from distnn.errors import CheckpointError
from distnn.session import saving
from distnn.session.records import StepRecord, Summary
from distnn.session.run import train
from tests.support import disks
from tests.support.listening import Ear, trained
from tests.support.runs import DIGITS, LIMIT, alone, blobs, run_file, saved, settings
from tests.support.warm import warm

#: Save after every step that no save is being written in.
OFTEN = {"every_minutes": 1e-9, "every_epochs": 0, "keep": 99}
#: A perceptron of the digits whose checkpoints have 300 kB.
LARGE = {"kind": "mlp", "hidden": [512]}
#: As much of the run as the disk has room for.
ONE = "train.epochs=1"


def _fill(path: Path, run: Path) -> None:
    """Write a file until the disk is full, once the run has saved step 4."""
    while not (run / "checkpoints" / "latest").exists() or saved(run).progress["step"] < 4:
        time.sleep(0.01)
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return blobs(tmp_path / "blobs.h5", {"train": 100, "validation": 30, "test": 40})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Room for three of the large checkpoints."""
    with disks.small_disk(tmp_path / "disk", "1m") as disk:
        yield disk


class During(Ear):
    """An ear that does something after each step."""

    def __init__(self, act: Callable[[int], None]) -> None:
        super().__init__()
        self.act = act

    def stepped(self, record: StepRecord) -> None:
        super().stepped(record)
        self.act(record.step)


def watched(data: Path, out: Path, act: Callable[[int], None], **sections: Any) -> tuple[Summary, During]:
    """A training with something done after each step."""
    ear = During(act)
    sections = {"model": {"kind": "softmax"}, "data": {"path": str(data), "batch_size": 32}} | sections
    summary, _ = train(settings(**sections), out=out, world=alone(), listener=ear)
    return summary, ear


def test_each_holds_the_state_of_its_step_however_late_it_is_copied(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next step waits for the copy before it changes anything: from any of them the same end is reached."""
    copy = background.Snapshot.take

    def late(snapshot: background.Snapshot, sources: Sequence[Array]) -> list[Array]:
        time.sleep(0.05)
        return copy(snapshot, sources)

    sections: dict[str, Any] = {"train": {"epochs": 2}, "optimizer": {"kind": "adam"}}
    undisturbed, _ = trained(data, tmp_path / "undisturbed", checkpoint={"every_epochs": 0}, **sections)
    monkeypatch.setattr(background.Snapshot, "take", late)
    summary, _ = trained(data, tmp_path / "run", checkpoint={"every_steps": 1, "keep": 99}, **sections)
    monkeypatch.undo()
    assert summary.fingerprint == undisturbed.fingerprint
    whole = checkpoint.digest(saved(tmp_path / "undisturbed"))
    for step in range(1, 8):
        path = tmp_path / "run" / "checkpoints" / f"step-{step:08d}.h5"
        assert checkpoint.load(path).progress["step"] == step
        trained(data, tmp_path / f"from-{step}", resume=str(path), **sections)
        assert checkpoint.digest(saved(tmp_path / f"from-{step}")) == whole


def test_training_goes_on_while_a_checkpoint_is_written(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, third, waited = checkpoint.save, threading.Event(), []

    def slow(*args: Any, **options: Any) -> Path:
        waited.append(third.wait(30))
        return write(*args, **options)

    monkeypatch.setattr(checkpoint, "save", slow)
    _, ear = watched(data, tmp_path / "run", lambda step: third.set() if step == 3 else None, checkpoint=OFTEN)
    assert waited[0], "the first checkpoint, of step 1, was being written in step 3"
    assert ear.saves[0] == ("step-00000001.h5", 1)
    assert ear.saves[-1][1] == ear.steps[-1].step, "and the end waits for the last one"


def test_a_full_disk_is_told_of_and_the_run_goes_on(
    data: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full from step 5 to step 9."""
    monkeypatch.setattr(saving, "RETRY", (0.001, 0.001))
    other = small_disk / "other"

    def act(step: int) -> None:
        time.sleep(0.05)  # for what is being written
        if step == 5:
            _fill(other, small_disk / "run")
        elif step == 9:
            other.unlink()

    often = {"every_steps": 1, "every_epochs": 0, "keep": 99}
    summary, ear = watched(data, small_disk / "run", act, checkpoint=often, train={"epochs": 3})
    assert summary.complete
    warnings = [text for text in ear.warnings if "metrics file" not in text]
    assert warnings
    for text in warnings:
        assert "the checkpoint can't be saved: No space left on device." in text
        assert 'The run goes on, and tries again in 0 min at the latest (checkpoint.on_failure = "continue").' in text
    found = [step for _, step in ear.saves]
    assert {1, 2, 3, 4, 10, 11, 12} <= set(found)
    assert not {6, 7, 8} & set(found)
    for path in (small_disk / "run" / "checkpoints").iterdir():
        checkpoint.load(path)


def test_a_full_disk_ends_the_run_at_the_next_step_if_it_is_to(data: Path, small_disk: Path) -> None:
    def act(step: int) -> None:
        time.sleep(0.05)
        if step == 5:
            _fill(small_disk / "other", small_disk / "run")

    often = {"every_steps": 1, "on_failure": "stop"}
    with pytest.raises(CheckpointError, match="No space left on device"):
        watched(data, small_disk / "run", act, checkpoint=often, train={"epochs": 30})
    last = checkpoint.load(small_disk / "run" / "checkpoints" / "latest").progress["step"]
    assert last in (4, 5)
    metrics = (small_disk / "run" / "metrics.jsonl").read_text()
    assert '"step": 20' not in metrics


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("choice", ["continue", "stop"])
def test_a_run_on_a_disk_that_is_too_small(ranks: int, choice: str, small_disk: Path, tmp_path: Path) -> None:
    """Where the last one can't be saved the run has failed, and what was saved before is there."""
    sections = {"model": LARGE, "train": {"epochs": 6}, "checkpoint": {"keep": 9, "on_failure": choice}}
    run = run_file(tmp_path / "run.toml", data={"path": str(DIGITS)}, optimizer={"momentum": 0.9}, **sections)
    done = warm(ranks, ["train", run, "--out", small_disk / "run"])
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    assert done.stderr.count("the checkpoint can't be saved: No space left on device.") == 1
    assert "Free some space, raise your quota, or keep fewer checkpoints ([checkpoint] keep)." in done.stderr
    told = done.stdout.count('(checkpoint.on_failure = "continue")')
    assert told >= 2 if choice == "continue" else told == 0
    folder = small_disk / "run" / "checkpoints"
    files = sorted(path.name for path in folder.iterdir())
    assert files == ["best", "latest", *[f"step-{21 * epoch:08d}.h5" for epoch in range(1, len(files) - 1)]]
    assert len(files) > 3
    assert checkpoint.load(folder / "latest").progress["epoch"] == len(files) - 2
    for path in folder.iterdir():
        checkpoint.load(path)
    resumed = warm(ranks, ["train", run, "--out", small_disk / "run", "--resume", "auto", "--set", ONE])
    assert resumed.returncode == 0, resumed


@pytest.mark.parametrize("choice", ["continue", "stop"])
def test_a_folder_that_becomes_read_only(choice: str, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "checkpoints"

    def act(step: int) -> None:
        if step == 3:
            deadline = time.monotonic() + LIMIT
            while not (folder / "step-00000002.h5").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.2)  # until it has its link, too
            bound = subprocess.run(["mount", "--bind", folder, folder], check=False)
            if bound.returncode:
                pytest.skip("mounting needs more rights")
            subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)

    often = {"every_steps": 1, "every_epochs": 0, "on_failure": choice}
    try:
        with pytest.raises(CheckpointError, match="Read-only file system"):
            watched(data, tmp_path / "run", act, checkpoint=often, train={"epochs": 3})
        assert checkpoint.load(folder / "latest").progress["step"] in (2, 3)
        lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
        tested = any(line.get("split") == "test" for line in lines)
        assert tested == (choice == "continue"), "it went on to the end, or stopped"
    finally:
        subprocess.run(["umount", folder], check=False, capture_output=True)
