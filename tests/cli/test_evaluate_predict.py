"""``distnn evaluate`` and ``predict``, against a forward pass in plain numpy from the checkpoint's parameters."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.special

from distnn.data import DataFile
from tests.support.refusals import refused
from tests.support.runs import DIGITS, blobs, distnn, line, run_file, saved
from tests.support.warm import warm


def train(folder: Path, data: Path, **sections) -> Path:
    run = run_file(folder / "run.toml", data={"path": str(data), "batch_size": 20}, **sections)
    done = distnn("train", run, "--out", folder / "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "out"


def forward(run: Path, x: np.ndarray) -> np.ndarray:
    """The outputs of an MLP of ReLUs, by hand."""
    values = saved(run).parameters
    layers = len(values) // 2
    for k in range(1, layers + 1):
        x = x @ values[f"dense{k}.weight"] + values[f"dense{k}.bias"]
        x = np.maximum(x, 0) if k < layers else x
    return x


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    return train(tmp_path_factory.mktemp("digits"), DIGITS)


def test_evaluate_prints_the_contracts_object(digits):
    with DataFile(DIGITS) as file:
        x, y = file.read("test")
        logits = forward(digits, x.reshape(len(x), -1) * file.scale)
    done = distnn("evaluate", digits, DIGITS, "--json")
    found = json.loads(done.stdout)
    assert set(found) == {"loss", "loss_unit", "samples", "accuracy", "classes", "checkpoint", "step", "split"}
    assert (found["loss_unit"], found["classes"]) == ("nats", [str(digit) for digit in range(10)])
    assert found["samples"] == len(x)
    assert found["accuracy"] == pytest.approx(np.mean(logits.argmax(1) == y))
    loss = -scipy.special.log_softmax(logits, axis=1)[np.arange(len(y)), y].mean()
    assert found["loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("ranks", [1, 3])
def test_predict_writes_labels_and_probabilities_in_order(digits, ranks, tmp_path):
    done = warm(ranks, ["predict", digits, DIGITS, "-o", tmp_path / "p.h5", "--split", "validation"])
    assert done.returncode == 0, done
    with DataFile(DIGITS) as file:
        x, _ = file.read("validation")
        expected = scipy.special.softmax(forward(digits, x.reshape(len(x), -1) * file.scale), axis=1)
    with h5py.File(tmp_path / "p.h5") as file:
        np.testing.assert_allclose(file["probabilities"], expected, atol=1e-5)
        np.testing.assert_array_equal(file["y_pred"], expected.argmax(1))
        assert list(file.attrs["classes"]) == [str(digit) for digit in range(10)]


@pytest.mark.parametrize("ranks", [1, 3])
def test_predict_writes_a_table_by_the_ending(digits, ranks, tmp_path):
    done = warm(ranks, ["predict", digits, DIGITS, "-o", tmp_path / "p.csv"])
    assert done.returncode == 0, done
    with DataFile(DIGITS) as file:
        x, y = file.read("test")
        expected = scipy.special.softmax(forward(digits, x.reshape(len(x), -1) * file.scale), axis=1)
    with open(tmp_path / "p.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["row", "prediction", *(f"probability_{digit}" for digit in range(10)), "truth"]
    table = np.array(rows, float)  # the names of the digits are numbers
    assert (table[:, 0] == np.arange(len(y))).all() and (table[:, -1] == y).all()
    np.testing.assert_allclose(table[:, 2:-1], expected, atol=1e-5)
    assert (table[:, 1] == expected.argmax(axis=1)).all()


@pytest.mark.parametrize("ranks", [1, 2])
def test_predict_reads_plain_arrays(digits, ranks, tmp_path):
    with DataFile(DIGITS) as file:
        x, _ = file.read("test")
    np.savez(tmp_path / "new.npz", images=x)
    for data, output in ((DIGITS, "a.h5"), (tmp_path / "new.npz", "b.h5")):
        done = warm(ranks, ["predict", digits, data, "-o", tmp_path / output])
        assert done.returncode == 0, done
    with h5py.File(tmp_path / "a.h5") as a, h5py.File(tmp_path / "b.h5") as b:
        np.testing.assert_array_equal(a["probabilities"], b["probabilities"])
        assert "y_true" in a and "y_true" not in b
    assert {path.name for path in tmp_path.iterdir()} == {"new.npz", "a.h5", "b.h5"}


def test_predict_refuses_another_ending_before_the_work(tmp_path):
    text = refused(tmp_path, "predict", "missing", "missing.h5", "-o", "p.xls")
    assert "p.xls: predictions are written in the format that the file's ending names" in text


def test_two_classes_by_one_logit(tmp_path):
    data = blobs(tmp_path / "two.h5", {"train": 100, "test": 31}, classes=2)
    run = train(tmp_path, data, model={"kind": "logistic"})
    assert distnn("predict", run, data, "-o", tmp_path / "p.h5").returncode == 0
    with DataFile(data) as file:
        x, y = file.read("test")
    p = scipy.special.expit(forward(run, x)[:, 0])
    with h5py.File(tmp_path / "p.h5") as file:
        np.testing.assert_allclose(file["probabilities"], np.stack([1 - p, p], 1), atol=1e-5)
        np.testing.assert_array_equal(file["y_pred"], p > 0.5)
    found = json.loads(distnn("evaluate", run, data, "--json").stdout)
    assert found["accuracy"] == pytest.approx(np.mean((p > 0.5) == y))
    loss = -np.mean(scipy.special.xlogy(y, p) + scipy.special.xlogy(1 - y, 1 - p))
    assert found["loss"] == pytest.approx(loss, rel=1e-5)


def test_regression_predicts_outputs_and_has_no_accuracy(tmp_path):
    data = line(tmp_path / "line.h5", {"train": 80, "test": 23})
    run = train(tmp_path, data, model={"kind": "linear"})
    with DataFile(data) as file:
        x, y = file.read("test")
    found = json.loads(distnn("evaluate", run, data, "--json").stdout)
    assert set(found) == {"loss", "loss_unit", "samples", "checkpoint", "step", "split"}
    assert found["loss"] == pytest.approx(np.mean((forward(run, x) - y) ** 2), rel=1e-5)
    assert distnn("predict", run / "checkpoints/latest", data, "-o", tmp_path / "p.h5").returncode == 0
    with h5py.File(tmp_path / "p.h5") as file:
        assert set(file) == {"y_pred", "y_true", "row"}
        assert (file["y_true"][:] == y).all()
        np.testing.assert_allclose(file["y_pred"], forward(run, x), rtol=1e-4, atol=1e-5)


def test_evaluate_is_the_same_on_any_number_of_ranks_even_more_than_samples(tmp_path):
    data = blobs(tmp_path / "few.h5", {"train": 60, "test": 2})
    run = train(tmp_path, data)
    found = [json.loads(warm(ranks, ["evaluate", run, data, "--json"]).stdout) for ranks in (1, 3, 4)]
    for other in found[1:]:
        assert other["samples"] == 2
        assert other.pop("loss") == pytest.approx(found[0]["loss"], rel=1e-6)
        assert other == {name: value for name, value in found[0].items() if name != "loss"}
