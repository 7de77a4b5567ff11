"""Going on with a run: where it writes, and what is others than before."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import h5py
import pytest

from distnn import checkpoint
from distnn.errors import CheckpointError, RunFileError
from distnn.session.run import train
from tests.support.listening import Ear
from tests.support.runs import alone, saved, settings, some_digits


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return some_digits(tmp_path / "digits.h5", 160)


def go(data: Path, out: Path | None, resume: Path | str | None = None, **sections: Any) -> Ear:
    ear = Ear()
    chosen = settings(**{"checkpoint": {"every_steps": 2, "keep": 99}} | sections | {"data": {"path": str(data)}})
    train(chosen, out=out, resume=None if resume is None else str(resume), world=alone(), listener=ear)
    return ear


def relabel(data: Path) -> None:
    with h5py.File(data, "r+") as file:
        file["train/y"][5] = (file["train/y"][5] + 1) % 10


def test_other_data_are_told_of_and_refused_in_the_middle_of_an_epoch(data: Path, tmp_path: Path) -> None:
    go(data, tmp_path / "run", train={"epochs": 2})
    assert go(data, tmp_path / "run", "auto", train={"epochs": 3}).warnings == []
    relabel(data)
    (text,) = go(data, tmp_path / "run", "auto", train={"epochs": 4}).warnings
    assert text.startswith("the training data are not those that ")
    assert "they were 160 samples with the hash" in text
    middle = tmp_path / "run" / "checkpoints" / "step-00000002.h5"
    with pytest.raises(CheckpointError, match="it stands in the middle of an epoch, whose rest isn't known then"):
        go(data, tmp_path / "other", middle)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(("kind", "told"), [("cosine", 1), ("constant", 0)])
def test_more_epochs_under_a_schedule(kind: str, told: int, data: Path, tmp_path: Path) -> None:
    chosen = {"schedule": {"kind": kind}}
    go(data, tmp_path / "run", train={"epochs": 2}, **chosen)
    warnings = go(data, tmp_path / "run", "auto", train={"epochs": 6}, **chosen).warnings
    assert len(warnings) == told
    assert all("train.epochs was 2 and is 6" in text and "instead of 0." in text for text in warnings)


@pytest.mark.parametrize("train_section", [{}, {"epochs": 0}, {"epochs": -(10**30)}, {"epochs": "two"}])
def test_what_a_checkpoint_says_of_its_settings_is_not_believed(train_section: Any, data: Path, tmp_path: Path) -> None:
    go(data, tmp_path / "run", train={"epochs": 1}, schedule={"kind": "cosine"})
    found = saved(tmp_path / "run")
    forged = dataclasses.replace(found, settings=found.settings | {"train": train_section, "parallel": train_section})
    path = checkpoint.save(tmp_path / "gift" / "checkpoints", forged, keep=1, best=False)
    exact = {"parallel": {"reproducible": True, "shards": 2}, "schedule": {"kind": "cosine"}}
    (text,) = go(data, tmp_path / "out", path, train={"epochs": 2}, **exact).warnings
    assert "the bits may differ" in text


def test_a_run_writes_to_the_folder_that_it_resumes_or_not_at_all(data: Path, tmp_path: Path) -> None:
    go(data, tmp_path / "mine", train={"epochs": 1})
    shutil.copytree(tmp_path / "mine", tmp_path / "gift", symlinks=True)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "mine").rglob("*")}
    latest = tmp_path / "gift" / "checkpoints" / "latest"
    latest.unlink()
    latest.symlink_to(tmp_path / "mine" / "checkpoints" / "step-00000003.h5")
    for resume in (tmp_path / "gift", tmp_path / "gift" / "checkpoints", latest):
        with pytest.raises(
            RunFileError, match="lies in another folder, .*mine/checkpoints. Name the folder to write to"
        ):
            go(data, None, resume)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "mine").rglob("*")}
    go(data, None, tmp_path / "mine", train={"epochs": 2})
    assert not (tmp_path / "mine" / "lock").exists()


def test_a_folder_in_which_nothing_was_trained_is_taken(data: Path, tmp_path: Path) -> None:
    """A run that was refused before its first step leaves one; what was trained, or is the user's own, stays."""
    go(data, tmp_path / "run", train={"epochs": 1})
    run, records = tmp_path / "run", tmp_path / "run" / "metrics.jsonl"
    lines = records.read_text().splitlines(keepends=True)
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    with pytest.raises(RunFileError, match="holds another run already"):
        go(data, run)
    records.write_text("".join(line for line in lines if '"kind": "start"' in line))
    go(data, run, train={"epochs": 1})
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "run.toml").write_text("mine")
    (mine / "checkpoints").write_text("no folder")
    with pytest.raises(RunFileError, match="holds another run already"):
        go(data, mine)
    assert (mine / "run.toml").read_text() == "mine"
