"""Training from Python: the same graph, the same bits as from a run file; functions as networks; predictions."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import distnn
from distnn import checkpoint, graph
from distnn.data import DataFile, write_data
from distnn.errors import CheckpointError, DataError, DistnnError, RunFileError, ShapeError
from distnn.graph.node import Node
from distnn.inference.load import restore
from distnn.layers import Dense, Flatten, Layer, Sequential
from distnn.models import char_lstm
from distnn.models.model import Network
from distnn.optim import SGD
from distnn.session.fit import Fitted, fit
from distnn.session.run import train
from tests.support import reference, runs
from tests.support.runs import DIGITS, alone, babble, blobs, line, metrics, saved, settings

RULE = SGD(learning_rate=0.05, momentum=0.9)
RULE_TABLE = {"learning_rate": 0.05, "momentum": 0.9}


def digits_network() -> Sequential:
    return Sequential(Flatten(), Dense(16, "relu"), Dense(10))


def fitted(network: Network, out: Path, data: Path = DIGITS, **options: Any) -> Fitted:
    return fit(network, data, out=out, **{"epochs": 2, "optimizer": RULE} | options)


def from_run_file(out: Path, **sections: Any) -> str:
    """The fingerprint of the parameters that a run file trains."""
    chosen = settings(**({"optimizer": RULE_TABLE} | sections))
    return train(chosen, out=out, world=alone())[0].fingerprint


@pytest.mark.parametrize(
    "model",
    [
        {"kind": "mlp", "hidden": [16]},
        {"layers": [{"kind": "dense", "units": 16, "activation": "relu"}, {"kind": "dense", "units": 10}]},
        {"layers": [{"kind": "dense", "units": 16, "activation": "relu"}, {"kind": "dense"}]},
        {"factory": "tests.support.networks:network"},
    ],
    ids=str,
)
def test_a_run_file_and_python_build_the_same_graph(model: dict[str, Any], tmp_path: Path) -> None:
    python = fitted(digits_network(), tmp_path / "python")
    assert python.summary.fingerprint == from_run_file(tmp_path / "file", model=model)
    assert python.model.description == "64-16-10, relu"
    assert python.parameters.fingerprint() == python.summary.fingerprint


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    n, sizes = np.int64, {"epochs": 1, "batch_size": 200, "parallel": {"shards": 2}}
    plain = fit(Sequential(Flatten(), Dense(5), Dense(10)), DIGITS, out=tmp_path / "plain", clip_norm=0.5, **sizes)
    given = {"epochs": n(1), "batch_size": n(200), "parallel": {"shards": n(2)}, "clip_norm": np.float32(0.5)}
    found = fit(Sequential(Flatten(), Dense(n(5)), Dense(n(10))), DIGITS, out=tmp_path / "numpy", **given)
    assert found.parameters.fingerprint() == plain.parameters.fingerprint()


def test_a_function_builds_it_too(tmp_path: Path) -> None:
    first, second = Dense(16, "relu"), Dense(10)

    def network(x: Node) -> Node:
        return second(first(Flatten()(x)))

    assert fitted(network, tmp_path / "f").summary.fingerprint == from_run_file(tmp_path / "file")


def test_a_function_may_do_what_it_likes(tmp_path: Path) -> None:
    """A branch and a sum, which no run file can say."""
    layers = [Dense(8, "tanh"), Dense(8, "sigmoid"), Dense(3)]

    def two_ways(x: Node) -> Node:
        return layers[2](layers[0](x) + 2 * layers[1](x))

    data = blobs(tmp_path / "blobs.h5", {"train": 100, "test": 50})
    found = fitted(two_ways, tmp_path / "run", data, epochs=20)
    assert found.summary.test is not None
    assert found.summary.test.accuracy is not None
    assert found.summary.test.accuracy > 0.9
    assert saved(tmp_path / "run").settings["model"] == {"factory": "python:two_ways"}


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 3, "batch_size": 100},
        {"batch_size": "full", "schedule": {"kind": "cosine", "warmup_steps": 1}},
        {"train": {"clip_norm": 0.5, "accumulate": 2}, "parallel": {"shards": 3}},
        {"train": {"dtype": "float64"}},
        {"optimizer": SGD(0.02, momentum=0.5, nesterov=True, weight_decay=1e-3)},
    ],
    ids=str,
)
def test_each_setting_means_the_same(options: dict[str, Any], tmp_path: Path) -> None:
    sections: dict[str, Any] = {key: options[key] for key in ("schedule", "parallel") if key in options}
    sections["train"] = options.get("train", {}) | {"seed": options.get("seed", 0)}
    sections["data"] = {"batch_size": options.get("batch_size", 64)}
    if "optimizer" in options:
        rule = options["optimizer"]
        names = ("learning_rate", "momentum", "nesterov", "weight_decay")
        sections["optimizer"] = {name: getattr(rule, name) for name in names}
    found = fitted(digits_network(), tmp_path / "python", **options)
    assert found.summary.fingerprint == from_run_file(tmp_path / "file", **sections)
    assert found.summary.fingerprint != fitted(digits_network(), tmp_path / "plain").summary.fingerprint


def test_keys_of_data_may_be_tables(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["samples"], file["labels"] = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 2
    data = {"x": {"path": "samples"}, "y": "labels", "task": "classification", "classes": 2, "batch_size": 10}
    found = fitted(Dense(2), tmp_path / "run", tmp_path / "d.h5", split={"validation": 0.1, "test": 9}, **data)
    assert found.summary.test is not None and found.summary.test.samples == 9


# Predictions


def test_predictions_are_the_networks(tmp_path: Path) -> None:
    found = fitted(digits_network(), tmp_path / "run")
    with DataFile(DIGITS) as file:
        x, y = file.read("test")
        scale = file.scale
    probabilities = found.predict(x)
    values = {name: array.astype(float) for name, array in found.parameters.value.items()}
    expected = reference.probabilities(reference.forward(values, x * float(scale or 1))[-1])
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert found.summary.test is not None
    assert found.summary.test.accuracy == pytest.approx(np.mean(probabilities.argmax(axis=1) == y), abs=1e-12)
    np.testing.assert_allclose(found.predict(x * np.float32(scale or 1)), probabilities, atol=1e-6)  # scaled already
    np.testing.assert_allclose(found.predict(x[:1]), probabilities[:1], atol=1e-6)


def test_predictions_of_a_regression_are_its_outputs(tmp_path: Path) -> None:
    data = line(tmp_path / "line.h5", {"train": 200})
    found = fitted(Dense(2), tmp_path / "run", data, epochs=30)
    x, y = (h5py.File(data)[f"train/{name}"][:] for name in "xy")
    values = found.parameters.value
    np.testing.assert_allclose(found.predict(x), x @ values["dense1.weight"] + values["dense1.bias"], atol=1e-5)
    np.testing.assert_allclose(found.predict(x), y, atol=0.1)


def test_a_logistic_regression_predicts_the_second_class(tmp_path: Path) -> None:
    data = blobs(tmp_path / "two.h5", {"train": 100}, classes=2)
    found = fitted(Dense(1), tmp_path / "run", data, epochs=20)
    x, y = (h5py.File(data)[f"train/{name}"][:] for name in "xy")
    values = found.parameters.value
    expected = 1 / (1 + np.exp(-(x @ values["dense1.weight"] + values["dense1.bias"])))
    assert expected.shape == (100, 1)
    np.testing.assert_allclose(found.predict(x), expected, atol=1e-6)
    assert np.mean((expected[:, 0] >= 0.5) == y) > 0.8


# Folders, resuming, errors


def test_a_text_in_streams(tmp_path: Path) -> None:
    text = babble(tmp_path / "text.h5", 600)
    facts = {"data": {"path": str(text), "batch_size": 8, "streams": True}, "train": {"epochs": 1}}
    expected = from_run_file(tmp_path / "file", model={"kind": "char-lstm", "embedding": 3, "hidden": [5]}, **facts)
    found = fitted(char_lstm(7, 3, [5]), tmp_path / "python", text, epochs=1, batch_size=8, streams=True)
    assert found.summary.fingerprint == expected
    assert found.predict(np.zeros((2, 5), np.uint8)).shape == (2, 5, 7)
    with pytest.raises(RunFileError, match="data.streams = true is for .* the model has no state to carry along them"):
        fitted(char_lstm(7).__call__, tmp_path / "none", text, batch_size=8, streams=True)


def test_it_resumes_as_from_the_command_line(tmp_path: Path) -> None:
    whole = fitted(digits_network(), tmp_path / "whole", epochs=4)
    fitted(digits_network(), tmp_path / "run", epochs=2)
    rest = fitted(digits_network(), tmp_path / "run", epochs=4, resume="auto")
    assert rest.summary.fingerprint == whole.summary.fingerprint
    assert [record["step"] for record in metrics(tmp_path / "run", "resume")] == [42]


def test_it_predicts_with_the_scale_of_the_checkpoint_that_it_resumed(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 5)).astype(np.uint8)
    splits = {"train": (x, (x[:, 0] > 127).astype(int))}
    data = write_data(tmp_path / "a.h5", splits, task="classification", classes=["a", "b"])
    network = Sequential(Dense(2))
    fit(network, data, out=tmp_path / "run", epochs=1, batch_size=8)
    old = saved(tmp_path / "run")  # as one was when unsigned integers were scaled by their type
    del old.settings["transforms"]
    old.data = {}
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    checkpoint.save(tmp_path / "run" / "checkpoints", old, keep=1, best=True)
    found = fit(network, data, out=tmp_path / "run", epochs=2, batch_size=8, resume="auto")
    assert found.scale == 1 / 255
    np.testing.assert_allclose(found.predict(x), found.predict(x * np.float64(1 / 255)), rtol=0, atol=1e-5)


def test_a_plain_network_can_be_restored_from_its_folder(tmp_path: Path) -> None:
    found = fitted(digits_network(), tmp_path / "run")
    restored = restore(tmp_path / "run", alone().comm)
    assert restored.parameters.fingerprint() == found.summary.fingerprint
    with DataFile(DIGITS) as file:
        result, _ = restored.evaluate(file, "test", alone())
    assert found.summary.test is not None
    assert (result.mean_loss, result.accuracy) == (found.summary.test.loss, found.summary.test.accuracy)


def test_any_other_network_can_only_be_predicted_with_in_python(tmp_path: Path) -> None:
    fitted(lambda x: Dense(10)(Flatten()(x)), tmp_path / "run")
    with pytest.raises(CheckpointError) as caught:
        restore(tmp_path / "run", alone().comm)
    for words in ("written in Python and passed to distnn.fit (python:lambda)", 'factory = "module:function"'):
        assert words in str(caught.value)
    for verb in (["evaluate"], ["predict", "-o", tmp_path / "p.h5"]):
        result = runs.distnn(verb[0], tmp_path / "run", DIGITS, *verb[1:])
        assert result.returncode == 2
        assert result.stderr == f"distnn: error: {caught.value}\n"
    assert not (tmp_path / "p.h5").exists()


def named_by(network: Network, out: Path, data: Path) -> Any:
    fitted(network, out, data, epochs=1, batch_size=20)
    return saved(out).settings["model"].get("factory")


def test_a_network_is_named_where_no_run_file_could_build_it(tmp_path: Path) -> None:
    class Odd(Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Dense(3)
            self.inner.parent = self

        def __call__(self, x: Node) -> Node:
            return graph.tanh(self.inner(x))

    data = blobs(tmp_path / "blobs.h5", {"train": 40})
    assert named_by(Odd(), tmp_path / "1", data) == "python:Odd"
    assert named_by(Dense(3), tmp_path / "2", data) == "python:Dense"
    assert named_by(Sequential(Dense(3, name="mine")), tmp_path / "3", data) == "python:Sequential"
    assert named_by(Sequential(Sequential(Dense(4)), Dense(3)), tmp_path / "4", data) == "python:Sequential"
    assert named_by(Sequential(Dense(4), Dense(3)), tmp_path / "5", data) is None


def test_errors_come_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no data file"):
        fitted(digits_network(), tmp_path / "run", tmp_path / "missing.h5")
    with pytest.raises(ShapeError, match=r"the model's output has shape \(N, 7\), but the data has 10 classes"):
        fitted(Sequential(Flatten(), Dense(7)), tmp_path / "run")
    with pytest.raises(RunFileError, match="epochs"):
        fitted(digits_network(), tmp_path / "run", epochs=0)
    with pytest.raises(RunFileError, match="did you mean"):
        fitted(digits_network(), tmp_path / "run", parallel={"shard": 3})
    assert not (tmp_path / "run").exists()
    fitted(digits_network(), tmp_path / "run", epochs=1)
    with pytest.raises(RunFileError, match="holds another run already"):
        fitted(digits_network(), tmp_path / "run", epochs=1)
    with pytest.raises(DistnnError, match="the training diverged"), np.errstate(all="ignore"):
        data = line(tmp_path / "line.h5", {"train": 200})
        fitted(Dense(2), tmp_path / "far", data, epochs=50, optimizer=SGD(1e4))


def test_it_is_found_where_the_readme_says() -> None:
    assert distnn.fit is fit
