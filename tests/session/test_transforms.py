"""``[transforms]`` in a run: fitted once, kept in the checkpoint, and used wherever the network is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from sklearn.metrics import r2_score

from distnn.checkpoint import digest
from distnn.data import DataFile, write_data
from distnn.errors import CheckpointError, UsageError
from distnn.layers import Dense, Sequential
from distnn.session.beginning import keep_scale
from distnn.session.fit import fit
from distnn.session.parts import data_file
from tests.support.launch import mpiexec
from tests.support.runs import alone, assembled, distnn, line, metrics, run_file, saved, settings

Arrays = dict[str, tuple[np.ndarray, np.ndarray]]
STANDARD = {"x": ["standardize"], "y": ["standardize"]}
TRAINING: dict[str, Any] = {
    "model": {"kind": "linear"},
    "train": {"epochs": 30},
    "optimizer": {"kind": "adam", "learning_rate": 0.02},
    "metrics": {"kinds": ["r2", "rmse"]},
    "data": {"batch_size": 20},
}


def prices(path: Path, **fields: Any) -> Path:
    """Features of scales from 1 to 10⁶, and prices of some 100,000."""
    random = np.random.default_rng(0)
    splits = {}
    for split, samples in (("train", 200), ("test", 60)):
        z = random.normal(size=(samples, 3))
        y = 200_000 + z @ [50_000, -20_000, 30_000] + random.normal(size=samples) * 1000
        splits[split] = (z * [1, 1e3, 1e6] + [0, 5e3, 1e9], y)
    return write_data(path, splits, task="regression", **fields)


def trained(folder: Path, data: Path, out: str = "out", *more: str, **sections: Any) -> Path:
    """The folder of a run, which has ended well."""
    chosen = TRAINING | sections
    run = run_file(folder / f"{out}.toml", **(chosen | {"data": chosen["data"] | {"path": str(data)}}))
    done = distnn("train", run, "--out", folder / out, *more)
    assert done.returncode == 0, done
    return folder / out


def test_prices_are_learned_and_predicted_in_their_own_units(tmp_path: Path) -> None:
    data = prices(tmp_path / "p.h5")
    run = trained(tmp_path, data, transforms=STANDARD)
    (end,), (start,) = metrics(run, "end"), metrics(run, "start")
    assert end["test"]["loss"] < 0.01  # of standardised targets
    assert start["loss"] == "squared_error in squared units of the transformed y"
    assert end["test"]["metrics"]["r2"] > 0.99
    assert 500 < end["test"]["metrics"]["rmse"] < 5000
    (start,) = metrics(run, "start")
    assert any(
        "y is transformed by standardize; the loss is that of transformed targets" in remark
        for remark in start["remarks"]
    )
    shown = json.loads(distnn("evaluate", run, data, "--json", "--last").stdout)
    assert shown["r2"] == end["test"]["metrics"]["r2"] and shown["loss"] == end["test"]["loss"]
    assert shown["loss_unit"] == "squared units of the transformed y"
    assert distnn("predict", run, data, "-o", tmp_path / "q.h5", "--last").returncode == 0
    with h5py.File(tmp_path / "q.h5") as file, DataFile(data) as truth:
        assert r2_score(truth.read("test")[1], file["y_pred"][:].reshape(-1)) == pytest.approx(shown["r2"], abs=1e-9)


def test_they_are_fitted_to_the_training_samples_and_shown(tmp_path: Path) -> None:
    data = prices(tmp_path / "p.h5")
    run = trained(tmp_path, data, train={"epochs": 1}, transforms={"x": ["standardize"], "y": ["log"]})
    kept = saved(run).transforms
    with DataFile(data) as file:
        x = file.read("train")[0]
    np.testing.assert_allclose(kept["x.0.standardize.mean"], x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(kept["x.0.standardize.deviation"], x.std(0), rtol=1e-9)
    assert f"x.0.standardize.mean (3): {x.mean(0)[0]:g}, " in distnn("inspect", run).stdout


def test_what_was_fitted_stays_when_a_run_is_resumed_on_other_data(tmp_path: Path) -> None:
    data = prices(tmp_path / "p.h5")
    run = trained(tmp_path, data, train={"epochs": 1}, transforms=STANDARD)
    before = saved(run).transforms
    with DataFile(data) as file:
        splits = {split: tuple(each + 1000 for each in file.read(split)) for split in file.splits}
    write_data(data, splits, task="regression", force=True)
    trained(tmp_path, data, "out", "--resume", "auto", train={"epochs": 2}, transforms=STANDARD)
    after = saved(run)
    assert after.progress["epoch"] == 2
    assert all(np.array_equal(after.transforms[name], array) for name, array in before.items())


@pytest.mark.parametrize("now", [{}, {"x": ["standardize"]}, STANDARD | {"y": ["min_max"]}], ids=str)
def test_a_run_keeps_its_transforms(tmp_path: Path, now: dict[str, Any]) -> None:
    data = prices(tmp_path / "p.h5")
    trained(tmp_path, data, train={"epochs": 1}, transforms=STANDARD)
    again = run_file(tmp_path / "b.toml", **(TRAINING | {"data": {"path": str(data)}, "transforms": now}))
    done = distnn("train", again, "--out", tmp_path / "out", "--resume", "auto")
    assert done.returncode == 2 and 'was [{kind = "standardize", axis = "feature"}] when' in done.stderr, done


def test_the_same_bits_on_any_ranks_and_from_file_or_memory(tmp_path: Path) -> None:
    data = line(tmp_path / "line.h5", {"train": 300, "validation": 50})
    chosen = {"transforms": {"x": ["standardize", {"kind": "clip", "low": -2.0}], "y": ["min_max"]}}
    chosen |= {"parallel": {"reproducible": True, "shards": 6}, "train": {"epochs": 2}, "metrics": {"kinds": ["r2"]}}
    digests = []
    for ranks, in_memory in ((1, True), (1, False), (3, True)):
        run = run_file(
            tmp_path / "r.toml", **chosen, data={"path": str(data), "in_memory": in_memory, "batch_size": 32}
        )
        out = tmp_path / f"{ranks}{in_memory}"
        if ranks == 1:
            assert distnn("train", run, "--out", out).returncode == 0
        else:
            done = mpiexec(ranks, [sys.executable, "-m", "distnn", "train", run, "--out", out], timeout=240)
            assert done.returncode == 0, done
        digests.append((digest(saved(out)), metrics(out, "evaluation")[-1]["metrics"]))
    assert digests[0] == digests[1] == digests[2]


def test_categories_and_missing_numbers_widen_the_samples(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = np.column_stack([random.normal(size=200), random.choice([3, 7, 9], 200)])
    y = np.where(np.isin(x[:, 1], [3, 9]), 1.0, -1.0)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        x[::5, 0] = np.nan
        file.attrs["task"] = "regression"
        for split, rows in (("train", slice(0, 150)), ("test", slice(150, 200))):
            file[f"{split}/x"], file[f"{split}/y"] = x[rows], y[rows]
    wide = [{"kind": "one_hot", "columns": [1]}, {"kind": "fill", "indicator": True}]
    run = trained(tmp_path, tmp_path / "a.h5", transforms={"x": wide})
    (end,) = metrics(run, "end")
    assert saved(run).model["input_shape"] == [5] and end["test"]["metrics"]["r2"] > 0.99
    assert json.loads(distnn("evaluate", run, tmp_path / "a.h5", "--json", "--last").stdout)["r2"] > 0.99


@pytest.mark.parametrize("labels", [(1, 2, 3), (-1, 0, 1)], ids=str)
def test_any_integers_are_labels(tmp_path: Path, labels: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    place = random.integers(0, 3, 150)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs.update({"task": "classification", "classes": ["a", "b", "c"]})
        x, y = np.eye(3)[place] + random.normal(size=(150, 3)) * 0.1, np.array(labels)[place]
        file["train/x"], file["train/y"], file["test/x"], file["test/y"] = x[:100], y[:100], x[100:], y[100:]
    chosen = {"model": {"kind": "softmax"}, "metrics": {"kinds": ["f1"]}}
    run = trained(tmp_path, tmp_path / "a.h5", **chosen, transforms={"y": ["shift_labels"]})
    (end,) = metrics(run, "end")
    assert end["test"]["accuracy"] == 1 and end["test"]["metrics"]["f1"] == 1
    assert any("become 0..2" in remark for remark in metrics(run, "start")[0]["remarks"])
    for name in ("p.h5", "p.npz"):
        assert distnn("predict", run, tmp_path / "a.h5", "-o", tmp_path / name).returncode == 0
    with h5py.File(tmp_path / "p.h5") as file, np.load(tmp_path / "p.npz") as table:
        np.testing.assert_array_equal(file["y_true"][:], place[100:])
        np.testing.assert_array_equal(file["y_pred"][:], place[100:])
        np.testing.assert_array_equal(table["truth"], table["prediction"])


def test_which_label_is_ignored_must_be_plain(tmp_path: Path) -> None:
    splits = {"train": (np.eye(3), np.arange(3))}
    path = write_data(tmp_path / "a.h5", splits, task="classification", classes=["a", "b", "c"])
    chosen = {"loss": {"ignore_label": 0}, "transforms": {"y": ["shift_labels"]}, "model": {"kind": "softmax"}}
    with pytest.raises(UsageError, match="ignore_label doesn't go with shift_labels"):
        assembled(alone(), data={"path": str(path), "batch_size": 1}, **chosen)


def test_fit_predicts_in_the_targets_units(tmp_path: Path) -> None:
    data = prices(tmp_path / "p.h5")
    options = {"epochs": 30, "batch_size": 20, "optimizer": {"kind": "adam", "learning_rate": 0.02}}
    found = fit(Sequential(Dense(1)), data, out=tmp_path / "out", transforms=STANDARD, **options)
    with DataFile(data) as file:
        x, y = file.read("test")
    assert r2_score(y, found.predict(x).reshape(-1)) > 0.99


def test_a_run_says_once_what_it_can_not_learn_from(tmp_path: Path) -> None:
    data = prices(tmp_path / "p.h5", names={"x": ["rooms", "area", "id"]})
    run = trained(tmp_path, data, train={"epochs": 1})
    texts = [each["text"] for each in metrics(run, "warning")]
    assert len(texts) == 2 and "'id' spreads by" in texts[0] and "targets are far from a scale of 1" in texts[1]
    trained(tmp_path, data, "out", "--resume", "auto", train={"epochs": 2})
    assert len(metrics(run, "warning")) == 2
    assert not metrics(trained(tmp_path, data, "b", train={"epochs": 1}, transforms=STANDARD), "warning")


def test_metrics_are_of_the_targets_as_they_are_stored(tmp_path: Path) -> None:
    data = prices(tmp_path / "p.h5")
    clipped = [{"kind": "clip", "high": 200_000.0}, "standardize"]
    run = trained(tmp_path, data, transforms={"x": ["standardize"], "y": clipped})
    assert distnn("predict", run, data, "-o", tmp_path / "q.h5", "--last").returncode == 0
    with h5py.File(tmp_path / "q.h5") as file, DataFile(data) as truth:
        expected = r2_score(truth.read("test")[1], file["y_pred"][:].reshape(-1))
    assert metrics(run, "end")[0]["test"]["metrics"]["r2"] == pytest.approx(expected, abs=1e-6)


def test_counts_are_no_images_and_old_checkpoints_keep_their_meaning(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.integers(0, 21, (300, 4))
    y = (x[:, 0] > x[:, 1]).astype(int)
    write_data(tmp_path / "a.h5", {"train": (x.astype("u4"), y)}, task="classification", classes=["a", "b"])
    chosen = {"model": {"kind": "softmax"}, "metrics": {"kinds": []}}
    run = trained(tmp_path, tmp_path / "a.h5", **chosen)
    assert metrics(run, "end")[0]["train"]["accuracy"] > 0.9
    old = saved(run)
    del old.settings["transforms"]
    old.data = {}
    with DataFile(tmp_path / "a.h5") as file:
        keep_scale(file, old.data, old.settings)
        assert file.scale == 1 / (2**32 - 1)
    with DataFile(tmp_path / "a.h5") as file:
        keep_scale(file, saved(run).data, saved(run).settings)
        assert file.scale is None


@pytest.mark.parametrize(
    ("transforms", "words"),
    [
        ({"y": ["fill"]}, "only for x, not for y"),
        ({"y": ["shift_labels"]}, '"shift_labels" is not for regression'),
        ({"x": [{"kind": "one_hot", "columns": [9]}]}, "names column 9"),
        ({"x": ["standardise"]}, "did you mean 'standardize'?"),
        ({"x": [{"kind": "log"}]}, r"is -\S+, but log takes numbers above 0; for numbers from 0 on set offset = 1"),
    ],
    ids=str,
)
def test_transforms_that_can_not_be_are_refused(tmp_path: Path, transforms: dict[str, Any], words: str) -> None:
    data = line(tmp_path / "line.h5", {"train": 30})
    with pytest.raises(UsageError, match=words):
        run = assembled(alone(), data={"path": str(data), "batch_size": 10}, transforms=transforms)
        run.step.run(0, 0.1, number=0)


def test_other_samples_are_refused(tmp_path: Path) -> None:
    data = prices(tmp_path / "p.h5")
    run = trained(tmp_path, data, train={"epochs": 1}, transforms=STANDARD)
    other = line(tmp_path / "line.h5", {"train": 30, "test": 10}, outputs=1)
    done = distnn("evaluate", run, other)
    assert done.returncode == 2 and "doesn't fit samples of the shape (4,)" in done.stderr
    with data_file(settings(data={"path": str(data)}, transforms=STANDARD)) as file, pytest.raises(CheckpointError):
        file.chains.load({}, "c.h5")


def test_targets_without_weight_are_left_out_of_what_is_fitted(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 2))
    y = np.exp(x @ [1.0, -0.5] + 5)
    mask = random.random(200) > 0.3
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["task"] = "regression"
        for split, rows in (("train", slice(0, 150)), ("test", slice(150, 200))):
            file[f"{split}/x"], file[f"{split}/mask"] = x[rows], mask[rows]
            file[f"{split}/y"] = np.where(mask, y, np.nan if split == "train" else -999)[rows]
    run = trained(tmp_path, tmp_path / "a.h5", transforms={"y": ["log", "standardize"]})
    np.testing.assert_allclose(saved(run).transforms["y.1.standardize.mean"], np.log(y[:150][mask[:150]]).mean())
    assert metrics(run, "end")[0]["test"]["metrics"]["r2"] > 0.99


OWN = """
import numpy as np

from distnn.data.transforms import Transform


class Thirds(Transform):
    \"\"\"x / 3.\"\"\"

    def apply(self, x, out, state):
        np.divide(x, 3, out=out)

    def invert(self, y, state):
        np.multiply(y, 3, out=y)
"""


def test_one_of_your_own_is_named_in_the_run_file(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    data = line(tmp_path / "line.h5", {"train": 80, "test": 20})
    more = {"data": {"path": str(data)}, "loss": {"kind": "absolute_error"}, "metrics": {"kinds": ["mae"]}}
    run_file(tmp_path / "run.toml", **TRAINING | more)
    done = distnn("train", "run.toml", "--out", "out", "--set", 'transforms.y=["own:Thirds"]', cwd=tmp_path)
    assert done.returncode == 0, done
    assert "source of own:Thirds" in saved(tmp_path / "out").environment
    refused = distnn("evaluate", "out", data, cwd=tmp_path)
    assert refused.returncode == 2 and '"own:Thirds": this names code' in refused.stderr, refused
    done = distnn("evaluate", "out", data, "--trust-code", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found["loss_unit"] == "units of the transformed y"
    assert found["loss"] == pytest.approx(found["mae"] / 3, rel=1e-4), "the metrics are in y's own units"
