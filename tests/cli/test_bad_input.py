"""What a user may get wrong, typed at the real command line: one paragraph, exit code 2, and nothing is overwritten."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from distnn.data import write_data
from tests.support.checkpoints import resealed
from tests.support.files import bare
from tests.support.refusals import refused
from tests.support.runs import DIGITS, blobs, distnn, run_file


def good(folder: Path) -> Path:
    return blobs(folder / "good.h5", {"train": 60, "validation": 20, "test": 20})


def truncated(folder: Path) -> Path:
    path = good(folder)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def changed(folder: Path, change) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def put(name, index, value):
    def change(file):
        file[name][index] = value

    return change


def remove(name):
    def change(file):
        del file[name]

    return change


BAD_DATA = {
    "missing": (lambda folder: folder / "absent.h5", ["There is no data file", "absent.h5", "distnn data"]),
    "truncated": (truncated, ["good.h5", "can't be read as HDF5", "truncated or damaged"]),
    "not HDF5": (lambda folder: Path(__file__), ["test_bad_input.py", "can't be read as HDF5"]),
    "no train group": (lambda folder: changed(folder, remove("train")), ["no group `train`"]),
    "no dataset": (lambda folder: changed(folder, remove("train/y")), ["no dataset `train/y`", "found x"]),
    "lengths differ": (
        lambda folder: bare(folder / "bad.h5", train__x=np.ones((5, 3)), train__y=np.zeros(4, int)),
        ["train/x holds 5 samples but train/y has the shape (4,)"],
    ),
    "label outside": (lambda folder: changed(folder, put("train/y", 7, 3)), ["train/y[7] is the label 3", "0..2"]),
    "NaN": (lambda folder: changed(folder, put("train/x", (5, 1), np.nan)), ["train/x[5, 1] is nan"]),
    "infinity": (lambda folder: changed(folder, put("validation/x", (2, 0), np.inf)), ["validation/x[2, 0] is inf"]),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_files(case, tmp_path):
    make, words = BAD_DATA[case]
    run = run_file(tmp_path / "run.toml", data={"path": str(make(tmp_path)), "batch_size": 10})
    text = refused(tmp_path, "train", run, "--out", "out")
    for word in words:
        assert word in text, text
    assert not (tmp_path / "out").exists()


BAD_SETTINGS = {
    "train.epoch=3": ["train.epoch is not a setting (did you mean 'epochs'?)"],
    "trian.epochs=3": ["trian", "did you mean 'train'?"],
    'train.epochs="3"': ["train.epochs", "an integer of at least 1"],
    "optimizer.learning_rate=0": ["optimizer.learning_rate", "above 0"],
    "model.activation=rellu": ["model.activation", "did you mean 'relu'?"],
    "data.batch_size=61": ["data.batch_size is 61", "only 60 training samples", '"full"'],
    "model.kind=logistic": ["model.hidden", "remove it"],
}


@pytest.mark.parametrize("override", BAD_SETTINGS)
def test_bad_settings(override, tmp_path):
    run = run_file(tmp_path / "run.toml", data={"path": str(good(tmp_path)), "batch_size": 10})
    text = refused(tmp_path, "train", run, "--set", override, "--out", "out")
    for word in BAD_SETTINGS[override]:
        assert word in text, text
    assert not (tmp_path / "out").exists()


def test_a_model_that_does_not_serve_the_data(tmp_path):
    run = run_file(tmp_path / "run.toml", model={"kind": "linear"}, data={"path": str(good(tmp_path))})
    assert "is for regression, but the data's task is classification" in refused(tmp_path, "train", run)


@pytest.mark.parametrize("text", ["[model\nkind = 1", "", "[model]\nkind = 'mlp'\n"])
def test_run_files_that_are_none(text, tmp_path):
    (tmp_path / "run.toml").write_text(text)
    assert "run.toml" in refused(tmp_path, "train", "run.toml")


def test_usage(tmp_path):
    assert "no command 'trian' (did you mean 'train'?)" in distnn("trian", cwd=tmp_path).stderr
    assert "absent.toml does not exist" in refused(tmp_path, "train", "absent.toml")
    assert "HH:MM:SS" in refused(tmp_path, "train", "x.toml", "--max-time", "soon")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A finished run of two epochs with two checkpoints, and its run file and data beside it."""
    folder = tmp_path_factory.mktemp("trained")
    run = run_file(folder / "run.toml", data={"path": str(good(folder)), "batch_size": 10})
    done = distnn("train", run, "--out", folder / "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copy(trained, tmp_path) -> Path:
    """The finished run, to be spoiled."""
    return Path(shutil.copytree(trained, tmp_path / "copy", symlinks=True))


def test_an_output_folder_that_holds_another_run(copy):
    text = refused(copy, "train", "run.toml", "--out", "out")
    assert "out holds another run already, and nothing in it was changed" in text
    assert "--resume out" in text


def test_a_checkpoint_of_another_model_is_told_with_names_and_shapes(copy):
    run_file(copy / "other.toml", model={"hidden": [8]}, data={"path": str(copy / "good.h5"), "batch_size": 10})
    text = refused(copy, "train", "other.toml", "--resume", "out")
    for word in ("dense1.weight", "(4, 8)", "(4, 16)", "dense2.weight", "(8, 3)", "(16, 3)"):
        assert word in text, text


def test_a_checkpoint_that_is_corrupted(copy):
    newest = (copy / "out/checkpoints/latest").resolve()
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    newest.write_bytes(content)
    assert "damaged" in refused(copy, "evaluate", newest, "good.h5")
    done = distnn("train", "run.toml", "--resume", "out", "--set", "train.epochs=3", cwd=copy)
    assert done.returncode == 0, done.stderr
    assert "passing over" in done.stdout + done.stderr
    assert "from step 6" in done.stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["evaluate", "out", "absent.h5"], ["There is no data file absent.h5"]),
        (["evaluate", "absent", "good.h5"], ["absent: there is no such checkpoint"]),
        (["evaluate", "good.h5", "good.h5"], ["good.h5"]),
        (["evaluate", "out", "good.h5", "--split", "tset"], ["no split `tset` (did you mean 'test'?)"]),
        (["evaluate", "out", str(DIGITS)], ["test/y has classes that the network wasn't trained on: 0, 1", "it knows"]),
        (["predict", "out", str(DIGITS), "-o", "p.h5"], ["samples of shape (8, 8)", "takes (4,)"]),
        (["predict", "out", "good.h5", "-o", "good.h5"], ["good.h5 already exists and was left as it is"]),
        (["predict", "out", "good.h5", "-o", "absent/p.h5"], ["no folder absent"]),
        (["inspect", "absent.h5"], ["absent.h5"]),
    ],
)
def test_bad_arguments_of_the_other_verbs(args, words, copy):
    text = refused(copy, *args)
    for word in words:
        assert word in text, text


def test_data_of_other_classes_is_refused(copy):
    x, y = np.ones((6, 4)), np.array([0, 1, 0, 1, 0, 1])
    write_data(copy / "two.h5", {"train": (x, y), "test": (x, y)}, task="classification", classes=["a", "b"])
    text = refused(copy, "evaluate", "out", "two.h5")
    assert "has classes that the network wasn't trained on: a, b; it knows class 0, class 1, class 2" in text


FORGED = {
    "no shape": ("model", lambda model: model.pop("input_shape"), "input_shape is missing"),
    "an unknown task": ("model", lambda model: model.update(task="x"), "the data's task is x"),
    "another network": ("settings", lambda settings: settings["model"].update(hidden=[10**9]), "don't fit this model"),
    "a huge number": ("settings", lambda settings: settings["model"].update(hidden=[10**30]), "beyond 64 bits"),
    "no model": ("settings", lambda settings: settings.pop("model"), "the section [model] is missing"),
    "a loss that is a list": ("settings", lambda settings: settings.update(loss={"kind": []}), "loss.kind is []"),
}


@pytest.mark.parametrize("case", FORGED)
def test_checkpoints_that_say_other_things_of_their_model(case, copy):
    name, change, words = FORGED[case]
    path = (copy / "out" / "checkpoints" / "latest").resolve()
    with h5py.File(path) as file:
        document = json.loads(file.attrs[name])
    change(document)
    resealed(path, name, document)
    assert words in refused(copy, "evaluate", path, "good.h5")
