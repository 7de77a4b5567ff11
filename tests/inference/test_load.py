"""From a checkpoint back to a model: the same numbers, and no guessing where something doesn't fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from distnn.checkpoint.folder import point
from distnn.data import DataFile, write_data
from distnn.errors import CheckpointError, DataError
from distnn.inference.load import restore
from distnn.inference.restored import Restored
from distnn.session.run import train
from tests.support import reference
from tests.support.checkpoints import resealed
from tests.support.runs import DIGITS, alone, blobs, line, settings

ALONE = alone()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three epochs on the digits, a checkpoint each."""
    out = tmp_path_factory.mktemp("restore") / "run"
    train(settings(train={"epochs": 3}), out=out, world=ALONE)
    return out


@pytest.fixture
def restored(run: Path) -> Restored:
    return restore(run, ALONE.comm)


def test_every_way_of_naming_a_checkpoint(run: Path) -> None:
    folder = run / "checkpoints"
    last = folder / "step-00000063.h5"
    for path in (run, folder, folder / "latest", last):
        assert restore(path, ALONE.comm).path == last
    first = restore(folder / "step-00000021.h5", ALONE.comm)
    assert first.path.name == "step-00000021.h5"
    assert first.parameters.fingerprint() != restore(run, ALONE.comm).parameters.fingerprint()


def test_of_a_run_its_best_checkpoint(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy, symlinks=True)
    point(copy / "checkpoints" / "best", "step-00000021.h5")
    best = restore(copy, ALONE.comm)
    assert best.path.name == "step-00000021.h5"
    with h5py.File(best.path) as file:
        loss = json.loads(file.attrs["progress"])["best"]
    assert best.origin.endswith(f"step 21, the best of its run so far: validation loss {loss:.6g}")
    last = restore(copy, ALONE.comm, last=True)
    assert last.path.name == "step-00000063.h5"
    assert restore(copy / "checkpoints" / "latest", ALONE.comm).path == last.path


def test_the_model_comes_back_whole(restored: Restored) -> None:
    assert restored.model.description == "64-16-10, relu"
    assert restored.model.classes == tuple("0123456789")
    assert (restored.model.task, restored.model.input_shape) == ("classification", (8, 8))
    with h5py.File(restored.path) as file:
        stored = {name: dataset[()] for name, dataset in file["parameters"].items()}
    assert stored.keys() == restored.parameters.value.keys()
    for name, array in stored.items():
        np.testing.assert_array_equal(restored.parameters.value[name], array)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_evaluation_against_numpy(split: str, restored: Restored) -> None:
    with DataFile(DIGITS) as file:
        result, _ = restored.evaluate(file, split, ALONE)
        x, y = file.read(split)
        scale = float(file.scale or 1)
    values = {name: array.astype(float) for name, array in restored.parameters.value.items()}
    loss, correct, _ = reference.gradients(values, x * scale, y)
    assert result.samples == len(y)
    assert result.mean_loss == pytest.approx(loss / len(y), rel=1e-5)
    assert result.accuracy == pytest.approx(correct / len(y), abs=1e-12)


def test_prediction_against_numpy(restored: Restored) -> None:
    with DataFile(DIGITS) as file:
        found = restored.predict(file, "test", ALONE)
        x, _ = file.read("test")
        scale = float(file.scale or 1)
    values = {name: array.astype(float) for name, array in restored.parameters.value.items()}
    expected = reference.probabilities(reference.forward(values, x * scale)[-1])
    np.testing.assert_allclose(found.rows, expected, atol=1e-6)
    assert (found.first, found.total) == (0, 300)


def test_a_regression_comes_back(tmp_path: Path) -> None:
    data = line(tmp_path / "line.h5", {"train": 100, "test": 20})
    summary, _ = train(
        settings(model={"kind": "linear"}, data={"path": str(data)}, train={"dtype": "float64"}),
        out=tmp_path / "run",
        world=ALONE,
    )
    found = restore(tmp_path / "run", ALONE.comm)
    assert found.parameters.dtype == np.float64
    with DataFile(data) as file:
        result, _ = found.evaluate(file, "test", ALONE)
    assert summary.test is not None
    assert (result.mean_loss, result.accuracy, result.samples) == (summary.test.loss, None, 20)


# What doesn't fit


def test_data_of_another_shape(restored: Restored, tmp_path: Path) -> None:
    with DataFile(blobs(tmp_path / "blobs.h5", {"train": 9, "test": 3})) as file:
        for work in (restored.evaluate, restored.predict):
            with pytest.raises(DataError, match=r"holds samples of shape \(4,\), but the model of .* takes \(8, 8\)"):
                work(file, "test", ALONE)


def test_data_of_another_task_or_number_of_classes(restored: Restored, tmp_path: Path) -> None:
    x, y = np.zeros((4, 8, 8)), np.array([0, 1, 2, 0])
    three = write_data(tmp_path / "3.h5", {"train": (x, y)}, task="classification", classes=["a", "b", "c"])
    regression = write_data(tmp_path / "r.h5", {"train": (x, y.astype(float))}, task="regression")
    with DataFile(three) as file, pytest.raises(DataError) as caught:
        restored.evaluate(file, "train", ALONE)
    words = "is for classification with 3 classes, but"
    assert words in str(caught.value)
    assert "was trained for classification with 10." in str(caught.value)
    with DataFile(regression) as file, pytest.raises(DataError, match="is for regression with 0 classes"):
        restored.evaluate(file, "train", ALONE)
    with DataFile(regression) as file:
        found = restored.predict(file, "train", ALONE)
    assert found.rows.shape == (4, 10), "predicting asks for samples of the right shape only"


def test_a_checkpoint_of_an_older_distnn_knows_nothing_of_its_data(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "old.h5"
    path.write_bytes((run / "checkpoints" / "step-00000063.h5").read_bytes())
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        del file.attrs["data"]
        file.attrs["version"] = 1
    restored = restore(resealed(path, "environment", {}), ALONE.comm)
    assert restored.data == {}
    with DataFile(DIGITS) as file:
        assert restored.evaluate(file, "test", ALONE)[0].samples == 300


def test_what_a_checkpoint_knows_of_its_data(restored: Restored) -> None:
    with h5py.File(DIGITS) as file:
        counts = {split: len(group["x"]) for split, group in file.items()}
    assert restored.data["counts"] == counts
    assert restored.data["scale"] == pytest.approx(1 / 16)
    fields = restored.data["fields"]
    assert (fields["x"]["shape"], fields["y"]["shape"]) == ([8, 8], [])
    assert (fields["x"]["dtype"], fields["y"]["dtype"]) == ("uint8", "uint8")


def test_a_split_that_is_not_there(restored: Restored) -> None:
    with DataFile(DIGITS) as file, pytest.raises(DataError, match="has no split `tset` \\(did you mean 'test'"):
        restored.evaluate(file, "tset", ALONE)


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such checkpoint"):
        restore(tmp_path / "missing", ALONE.comm)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="there is no checkpoint here"):
        restore(tmp_path / "empty", ALONE.comm)


def test_a_damaged_checkpoint_is_refused(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy, symlinks=True)
    path = (copy / "checkpoints" / "latest").resolve()
    weight = restore(copy, ALONE.comm).parameters.value["dense1.weight"]
    data = bytearray(path.read_bytes())
    data[data.index(weight.tobytes()) + 100] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"step-00000063\.h5"):
        restore(copy, ALONE.comm)


def test_weights_count_where_the_evaluated_data_have_them(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    plain = {"x": random.normal(size=(30, 3)), "y": random.integers(0, 2, 30)}
    weights = random.integers(0, 3, 30)
    weighted = plain | {"weight": weights}
    repeated = {name: np.repeat(values, weights, axis=0) for name, values in plain.items()}
    paths = {}
    for name, fields in (("plain", plain), ("weighted", weighted), ("repeated", repeated)):
        classes = ["no", "yes"]
        paths[name] = write_data(tmp_path / f"{name}.h5", {"train": fields}, task="classification", classes=classes)
    for trained_on in ("plain", "weighted"):
        run = settings(data={"path": str(paths[trained_on]), "batch_size": 10}, model={"kind": "logistic"})
        train(run, out=tmp_path / trained_on, world=ALONE)
        found = restore(tmp_path / trained_on, ALONE.comm)
        sums = {}
        for name, path in paths.items():
            with DataFile(path) as file:
                sums[name], _ = found.evaluate(file, "train", ALONE)
        assert sums["weighted"].mean_loss == pytest.approx(sums["repeated"].mean_loss, rel=1e-5)
        assert sums["weighted"].accuracy == pytest.approx(sums["repeated"].accuracy)
        assert sums["weighted"].mean_loss != pytest.approx(sums["plain"].mean_loss, rel=1e-5)
