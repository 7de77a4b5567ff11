"""Going on with other settings, or other data: what is kept, what begins anew, and that it is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distnn.data import write_data
from distnn.errors import CheckpointError
from distnn.session.run import train
from tests.support.listening import Ear
from tests.support.runs import alone, saved, settings, some_digits

BEFORE: dict[str, dict[str, Any]] = {
    "optimizer": {"kind": "sgd", "learning_rate": 0.05, "momentum": 0.9},
    "schedule": {"kind": "cosine"},
    "data": {"batch_size": 16},
    "train": {"epochs": 2},
}


def go(path: Path, out: Path, resume: str | None = None, **sections: dict[str, Any]) -> Ear:
    """A run as `BEFORE`, but for single keys; a section of another kind is replaced as a whole."""
    table = {name: dict(keys) for name, keys in BEFORE.items()}
    for name, keys in sections.items():
        table[name] = dict(keys) if "kind" in keys else table.get(name, {}) | keys
    table["data"]["path"] = str(path)
    ear = Ear()
    train(settings(**table), out=out, resume=resume, world=alone(), listener=ear)
    return ear


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return some_digits(tmp_path / "digits.h5", 160)


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Path:
    assert go(data, tmp_path / "run").warnings == []
    return tmp_path / "run"


CONSTANT = {"kind": "constant"}
SAID: dict[str, tuple[dict[str, dict[str, Any]], list[str]]] = {
    "another optimiser": (
        {"optimizer": {"kind": "adam", "learning_rate": 0.01}},
        [
            'optimizer.kind was "sgd" and is "adam"',
            "Kept: the parameters, step 20, epoch 2.",
            "Of the optimiser's state, first_moment and second_moment begin at 0.",
            "Dropped is the former optimiser's velocity.",
        ],
    ),
    "another momentum": (
        {"optimizer": {"momentum": 0.5}},
        ["optimizer.momentum was 0.9 and is 0.5", "Kept: the parameters, velocity, step 20, epoch 2."],
    ),
    "another batch size": (
        {"data": {"batch_size": 32}, "schedule": CONSTANT},
        ["data.batch_size was 16 and is 32", "An epoch had 10 steps and has 5."],
    ),
    "another schedule": (
        {"schedule": {"kind": "step", "every_epochs": 1, "factor": 0.1}},
        ['schedule.kind was "cosine" and is "step"', "goes on with 0.0005 instead of 0."],
    ),
    "another rate": (
        {"optimizer": {"learning_rate": 0.5}, "schedule": CONSTANT},
        ["optimizer.learning_rate was 0.05 and is 0.5", "goes on with 0.5 instead of 0."],
    ),
    "another loss": (
        {"loss": {"kind": "cross_entropy", "label_smoothing": 0.1}},
        ['loss.kind was "auto" and is "cross_entropy"', "what was best until now can't be compared with what follows"],
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_what_is_kept_and_what_begins_anew_is_said(case: str, run: Path, data: Path) -> None:
    sections, words = SAID[case]
    text = " ".join(go(data, run, "auto", **sections, train={"epochs": 3}).warnings)
    for each in words:
        assert each in text, text
    assert text.count("Kept: ") == 1


def test_what_changes_nothing_of_the_course_is_not_said(run: Path, data: Path) -> None:
    quiet = {"checkpoint": {"every_steps": 5}, "log": {"interval": 1.0}}
    assert go(data, run, "auto", **quiet).warnings == []


def test_more_samples_move_the_schedule(run: Path, tmp_path: Path) -> None:
    more = some_digits(tmp_path / "more.h5", 320)
    first, second = go(more, run, "auto", train={"epochs": 3}).warnings
    assert "The parameters and the optimiser's state are kept, and the next epoch is one of the new data." in first
    assert "the number of training samples was 160 and is 320" in second
    assert "An epoch had 10 steps and has 20." in second
    assert "The learning rate goes on with " in second


def test_best_is_not_compared_over_other_samples(run: Path, data: Path) -> None:
    before = saved(run).progress["best"]
    with h5py.File(data, "r+") as file:
        file["validation/y"][...] = (file["validation/y"][...] + 5) % 10
    (text,) = go(data, run, "auto", train={"epochs": 3}, schedule=CONSTANT).warnings[:1]
    assert text.startswith("the validation data were 40 samples with the hash ")
    now = saved(run).progress
    assert now["best"] > before, "the labels are wrong now, and yet this epoch is the best since they are"
    assert now["best_step"] == now["step"]


MEANINGS: dict[str, tuple[dict[str, Any], str]] = {
    "classes in another order": ({"classes": ["b", "c", "a"]}, "the classes were a, b, c, and are b, c, a"),
    "features in another order": ({"names": {"x": ["w", "h"]}}, "the features were h, w, and are w, h"),
    "another scale": ({"scale": 0.5}, "the factors of samples were 0.25, and are 0.5"),
    "no scale": ({"scale": None}, "the factors of samples were 0.25, and are nothing"),
}


@pytest.mark.parametrize("case", MEANINGS)
def test_data_that_mean_something_else_are_refused(case: str, tmp_path: Path) -> None:
    about = {"task": "classification", "classes": ["a", "b", "c"], "names": {"x": ["h", "w"]}, "scale": 0.25}
    y = np.arange(12) % 3
    arrays = {"train": (np.stack([y, y], axis=1).astype(np.int16), y)}
    data = write_data(tmp_path / "data.h5", arrays, **about)
    chosen = {"model": {"kind": "softmax"}, "data": {"path": str(data), "batch_size": 4}}
    train(settings(**chosen), out=tmp_path / "run", world=alone())
    changed, words = MEANINGS[case]
    write_data(data, arrays, **about | changed, force=True)
    with pytest.raises(CheckpointError, match="was trained on other data: ") as caught:
        train(settings(**chosen, train={"epochs": 3}), out=tmp_path / "run", resume="auto", world=alone())
    assert words in str(caught.value)
    with pytest.raises(CheckpointError):
        train(
            settings(**chosen, train={"epochs": 3}), out=tmp_path / "other", resume=str(tmp_path / "run"), world=alone()
        )
    assert not (tmp_path / "other").exists()
