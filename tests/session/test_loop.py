"""The loop: when it ends, what it says on the way, and what it keeps."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distnn import checkpoint
from distnn.data import write_data
from distnn.errors import DataError, DistnnError
from distnn.session.run import train
from tests.support.listening import Ear, trained
from tests.support.runs import alone, blobs, line, saved, settings


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return blobs(tmp_path / "blobs.h5", {"train": 100, "validation": 30, "test": 40})


# When it ends


@pytest.mark.parametrize("in_memory", [True, False])
def test_it_ends_in_words_where_nothing_counts(in_memory: bool, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = {"x": random.normal(size=(40, 3)), "y": random.integers(0, 2, 40), "mask": np.zeros(40, bool)}
    path = write_data(tmp_path / "m.h5", {"train": arrays}, task="classification", classes=["a", "b"])
    chosen = settings(model={"kind": "softmax"}, data={"path": str(path), "in_memory": in_memory, "batch_size": 8})
    with pytest.raises(DataError, match="train/mask is 0 everywhere|not one target of train counts, so nothing"):
        train(chosen, out=tmp_path / "run", world=alone())


def test_it_ends_after_its_epochs(data: Path, tmp_path: Path) -> None:
    summary, ear = trained(data, tmp_path / "run", train={"epochs": 3})
    assert (summary.reason, summary.complete) == ("finished 3 epochs", True)
    assert (summary.epoch, summary.step) == (3, 12)
    assert [record.epoch for record in ear.of("train")] == [1, 2, 3]
    assert [record.epoch for record in ear.of("validation")] == [1, 2, 3]
    assert [(record.epoch, record.samples) for record in ear.of("test")] == [(3, 40)]
    assert [record.samples for record in ear.of("train")] == [100] * 3
    assert trained(data, tmp_path / "one", train={"epochs": 1})[0].reason == "finished 1 epoch"


def test_it_ends_when_the_accuracy_is_reached(data: Path, tmp_path: Path) -> None:
    summary, ear = trained(data, tmp_path / "run", train={"epochs": 200, "target_accuracy": 0.9})
    assert (summary.reason, summary.complete) == ("the validation accuracy reached the target 0.9", True)
    *earlier, last = [record.accuracy or 0 for record in ear.of("validation")]
    assert all(accuracy < 0.9 for accuracy in earlier)
    assert last >= 0.9
    assert summary.epoch == len(earlier) + 1 < 200


def test_it_ends_when_the_loss_is_reached(data: Path, tmp_path: Path) -> None:
    summary, ear = trained(data, tmp_path / "run", train={"epochs": 200, "target_loss": 0.3})
    assert (summary.reason, summary.complete) == ("the validation loss reached the target 0.3", True)
    *earlier, last = [record.loss for record in ear.of("validation")]
    assert all(loss > 0.3 for loss in earlier)
    assert last <= 0.3
    assert len(earlier) > 0


def test_without_validation_the_training_loss_is_watched(tmp_path: Path) -> None:
    data = blobs(tmp_path / "b.h5", {"train": 100})
    summary, ear = trained(data, tmp_path / "run", train={"epochs": 200, "target_loss": 0.3})
    assert summary.reason == "the train loss reached the target 0.3"
    assert summary.best == min(record.loss for record in ear.of("train"))
    assert (summary.validation, summary.test) == (None, None)
    again, ear = trained(data, tmp_path / "run", resume="auto", train={"epochs": 200, "target": 0.3})
    assert (again.reason, ear.steps) == ("the train loss reached the target 0.3", [])


def test_it_ends_when_patience_does(data: Path, tmp_path: Path) -> None:
    """A step that is too long makes the loss jump about, so that it isn't always better than ever before."""
    optimizer = {"learning_rate": 3.0, "momentum": 0.9}
    summary, ear = trained(data, tmp_path / "run", train={"epochs": 500, "patience": 4}, optimizer=optimizer)
    assert (summary.reason, summary.complete) == ("no better loss for 4 epochs", True)
    losses = [record.loss for record in ear.of("validation")]
    assert int(np.argmin(losses)) == len(losses) - 5, "the best, and four that were no better"
    assert summary.best == min(losses)
    assert summary.best_step == 4 * (len(losses) - 4)


def test_it_stops_early_when_the_time_is_up(data: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    summary, ear = trained(data, tmp_path / "run", max_time=0.3, train={"epochs": 10**6})
    assert time.monotonic() - started < 60  # on a busy machine; a million epochs take hours
    assert (summary.reason, summary.complete) == ("stopped after --max-time (0 s)", False)
    assert summary.test is None
    assert saved(tmp_path / "run").progress["step"] == summary.step == ear.saves[-1][1]
    assert summary.checkpoint == (tmp_path / "run" / "checkpoints" / "latest").resolve()


def test_it_stops_after_one_step_where_there_is_no_time(data: Path, tmp_path: Path) -> None:
    summary, _ = trained(data, tmp_path / "run", max_time=0.0)
    assert (summary.complete, summary.step) == (False, 1)
    again, ear = trained(data, tmp_path / "run", resume=str(tmp_path / "run"))
    assert (again.complete, again.step, ear.steps[0].step) == (True, 8, 2)


def test_a_run_that_has_finished_has_nothing_left_to_do(data: Path, tmp_path: Path) -> None:
    first, _ = trained(data, tmp_path / "run")
    again, ear = trained(data, tmp_path / "run", resume="auto")
    assert (again.reason, again.step) == (first.reason, first.step)
    assert ear.steps == []
    assert again.fingerprint == first.fingerprint
    assert again.test is not None
    assert first.test is not None
    assert again.test.loss == first.test.loss


@pytest.mark.parametrize(
    "target", [{"target_accuracy": 0.9}, {"target_loss": 0.3}, {"patience": 1, "epochs": 500}], ids=str
)
def test_so_has_one_that_ended_before_its_last_epoch(target: dict[str, float], data: Path, tmp_path: Path) -> None:
    sections: dict[str, Any] = {"train": {"epochs": 200} | target, "optimizer": {"learning_rate": 1.0}}
    first, _ = trained(data, tmp_path / "run", **sections)
    assert first.epoch < 200
    again, ear = trained(data, tmp_path / "run", resume="auto", **sections)
    assert (again.complete, again.step, again.reason) == (True, first.step, first.reason)
    assert ear.steps == []


@pytest.mark.parametrize("rate", [1e4, 1e30])
def test_divergence_is_explained(rate: float, tmp_path: Path) -> None:
    data = line(tmp_path / "line.h5", {"train": 100})
    sections: dict[str, Any] = {"model": {"kind": "linear"}, "optimizer": {"learning_rate": rate}}
    with pytest.raises(DistnnError) as caught, np.errstate(all="ignore"):
        trained(data, tmp_path / "run", checkpoint={"every_steps": 1}, train={"epochs": 99}, **sections)
    text = str(caught.value)
    assert "the training diverged" in text
    assert f"learning rate {rate:g}" in text
    assert "learning_rate, a warm-up (schedule.warmup_steps) or train.clip_norm usually helps" in text
    newest = saved(tmp_path / "run")
    assert f"The last checkpoint is {(tmp_path / 'run' / 'checkpoints' / 'latest').resolve()}." in text
    assert f"at step {int(newest.progress['step']) + 1} " in text
    assert all(np.isfinite(array).all() for array in newest.parameters.values()), "`latest` always names a good one"


# What it says


def test_the_schedule_is_applied_to_each_step(data: Path, tmp_path: Path) -> None:
    schedule = {"kind": "cosine", "warmup_steps": 3, "final": 0.1}
    _, ear = trained(data, tmp_path / "run", schedule=schedule, train={"epochs": 3}, optimizer={"learning_rate": 0.2})
    assert [record.step for record in ear.steps] == list(range(1, 13))
    for step, record in enumerate(ear.steps):
        t = min(1, max(0, step - 3) / 9)
        expected = 0.2 * (0.1 + 0.9 * (1 + math.cos(math.pi * t)) / 2) * min(1, (step + 1) / 3)
        assert record.learning_rate == pytest.approx(expected, rel=1e-12)
    steps = {"kind": "step", "every_epochs": 2, "factor": 0.5}
    _, ear = trained(data, tmp_path / "two", schedule=steps, train={"epochs": 5}, optimizer={"learning_rate": 0.2})
    assert [record.learning_rate for record in ear.steps[::4]] == pytest.approx([0.2, 0.2, 0.1, 0.1, 0.05])


def test_a_schedule_goes_on_where_it_was(data: Path, tmp_path: Path) -> None:
    sections: dict[str, Any] = {"schedule": {"kind": "cosine", "warmup_steps": 6}, "train": {"epochs": 3}}
    _, whole = trained(data, tmp_path / "whole", **sections)
    _, first = trained(data, tmp_path / "run", max_time=0.0, **sections)
    _, rest = trained(data, tmp_path / "run", resume="auto", **sections)
    found = [record.learning_rate for record in first.steps + rest.steps]
    assert found == [record.learning_rate for record in whole.steps]


def test_records_add_up(data: Path, tmp_path: Path) -> None:
    summary, ear = trained(data, tmp_path / "run", train={"epochs": 2})
    first = ear.steps[:4]
    assert [(record.batch, record.batches, record.epoch, record.epochs) for record in first] == [
        (k, 4, 1, 2) for k in (1, 2, 3, 4)
    ]
    sizes = [32, 32, 32, 4]
    loss = sum(size * record.loss for size, record in zip(sizes, first, strict=True)) / 100
    assert ear.of("train")[0].loss == pytest.approx(loss, rel=1e-6)
    accuracy = sum(size * (record.accuracy or 0) for size, record in zip(sizes, first, strict=True)) / 100
    assert ear.of("train")[0].accuracy == pytest.approx(accuracy, rel=1e-6)
    spent = summary.spent
    assert spent.compute + spent.comm + spent.data + summary.other_s == pytest.approx(summary.seconds, rel=0.01)
    assert all(record.ranks == 1 for record in ear.steps)


def test_records_come_as_often_as_the_listener_asks(data: Path, tmp_path: Path) -> None:
    class Seldom(Ear):
        interval = 3600.0

    ear = Seldom()
    sections = settings(data={"path": str(data), "batch_size": 32}, model={"kind": "softmax"}, train={"epochs": 2})
    train(sections, out=tmp_path / "run", world=alone(), listener=ear)
    assert [record.step for record in ear.steps] == [4, 8], "the last step of each epoch only"


# What it keeps


def test_checkpoints_are_kept_as_asked(data: Path, tmp_path: Path) -> None:
    kept = {"every_steps": 3, "every_epochs": 2, "keep": 2}
    _, ear = trained(data, tmp_path / "run", train={"epochs": 5}, checkpoint=kept)
    assert [step for _, step in ear.saves] == [3, 6, 8, 9, 12, 15, 16, 18, 20]
    folder = tmp_path / "run" / "checkpoints"
    names = {path.name for path in folder.glob("step-*.h5")}
    best = checkpoint.resolve(folder / "best").name
    assert names == {"step-00000018.h5", "step-00000020.h5", best}
    assert (folder / "latest").resolve().name == "step-00000020.h5"


def test_never_means_only_at_the_end(data: Path, tmp_path: Path) -> None:
    _, ear = trained(data, tmp_path / "run", train={"epochs": 4}, checkpoint={"every_epochs": 0})
    assert ear.saves == [("step-00000016.h5", 16)]


def test_minutes_count(data: Path, tmp_path: Path) -> None:
    often = {"every_epochs": 0, "every_minutes": 1e-9}
    _, ear = trained(data, tmp_path / "run", train={"epochs": 1}, checkpoint=often)
    steps = [step for _, step in ear.saves]
    assert steps[0] == 1
    assert steps == sorted(steps), "some are left out, which were due while one was being written"
    assert steps[-1] == 4
    assert checkpoint.load(tmp_path / "run" / "checkpoints" / "latest").progress["epoch"] == 1, "the end is another one"


def test_best_names_the_lowest_validation_loss(data: Path, tmp_path: Path) -> None:
    summary, ear = trained(data, tmp_path / "run", train={"epochs": 5}, optimizer={"learning_rate": 3.0})
    losses = [record.loss for record in ear.of("validation")]
    best = int(np.argmin(losses))
    assert best != len(losses) - 1, "the last is not the best here"
    kept = checkpoint.load(tmp_path / "run" / "checkpoints" / "best")
    assert kept.progress["epoch"] == best + 1
    assert kept.progress["best"] == summary.best == losses[best]
    assert kept.progress["best_step"] == summary.best_step == 4 * (best + 1)


def test_no_epoch_is_kept_as_the_best_where_that_is_said(data: Path, tmp_path: Path) -> None:
    summary, ear = trained(data, tmp_path / "run", train={"epochs": 3}, checkpoint={"best": False})
    assert summary.best == min(record.loss for record in ear.of("validation"))
    saved = tmp_path / "run" / "checkpoints"
    assert not (saved / "best").exists()
    assert checkpoint.resolve(tmp_path / "run", best=True) == checkpoint.resolve(saved / "latest")


def test_the_best_survives_a_restart(data: Path, tmp_path: Path) -> None:
    sections: dict[str, Any] = {"optimizer": {"learning_rate": 3.0}}
    whole, _ = trained(data, tmp_path / "whole", train={"epochs": 12}, **sections)
    trained(data, tmp_path / "run", train={"epochs": 9}, **sections)
    rest, _ = trained(data, tmp_path / "run", resume="auto", train={"epochs": 12}, **sections)
    assert (rest.best, rest.best_step, rest.fingerprint) == (whole.best, whole.best_step, whole.fingerprint)


def test_the_loss_of_a_regression_is_the_mean_over_all_numbers_of_its_targets(tmp_path: Path) -> None:
    """So it is the square of the RMSE over all of them, and scikit-learn's and PyTorch's mean squared error."""
    data = line(tmp_path / "line.h5", {"train": 60, "validation": 30}, outputs=3)
    kinds = [{"kind": "rmse", "average": "none"}]
    sections: dict[str, Any] = {"model": {"kind": "linear"}, "metrics": {"kinds": kinds}, "train": {"epochs": 1}}
    summary, _ = trained(data, tmp_path / "run", **sections)
    assert summary.validation is not None
    errors: Any = summary.validation.metrics["rmse_none"]
    assert summary.validation.loss == pytest.approx(np.mean(np.square(errors)), rel=1e-6)
