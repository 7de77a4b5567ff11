"""Using a network on a file: only what is used need be there, and what is there is matched by name, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distnn.arrays import Array
from distnn.data import write_data
from distnn.errors import DataError
from distnn.inference.load import restore
from distnn.inference.restored import Restored
from distnn.session.run import train
from tests.support.runs import alone, distnn, settings

ALONE = alone()
RANDOM = np.random.default_rng(0)
CLASSES = ["cat", "dog", "eel"]
FEATURES = ["height", "weight", "age"]
LABELS = RANDOM.integers(0, 3, 90)
SAMPLES = (np.eye(3)[LABELS] * 4 + RANDOM.normal(size=(90, 3))).astype(np.float32)
OUTPUTS = SAMPLES @ RANDOM.normal(size=(3, 2)).astype(np.float32)
SPLITS = {"train": slice(0, 60), "test": slice(60, 90)}
NEW = SAMPLES[60:]


def trained(
    folder: Path, y: Array, names: Mapping[str, list[str]], scale: float | None = None, **more: Any
) -> Restored:
    """A network trained on `SAMPLES`, or if there is a scale on these as integers."""
    x = SAMPLES if scale is None else np.round(SAMPLES / scale).astype(np.int16)
    splits = {split: (x[rows], y[rows]) for split, rows in SPLITS.items()}
    data = write_data(folder / "data.h5", splits, names=names, scale=scale, **more)
    sections = {
        "model": {"kind": "mlp", "hidden": [8]},
        "data": {"path": str(data), "batch_size": 20},
        "optimizer": {"learning_rate": 0.005},
    }
    train(settings(**sections), out=folder / "run", world=ALONE)
    return restore(folder / "run", ALONE.comm)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Restored:
    """Of three classes, by three features."""
    folder = tmp_path_factory.mktemp("classes")
    return trained(folder, LABELS, {"x": FEATURES}, task="classification", classes=CLASSES)


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Restored:
    return trained(tmp_path_factory.mktemp("targets"), OUTPUTS, {"y": ["price", "rent"]}, task="regression")


def file_of(
    path: Path, datasets: Mapping[str, Any], names: Mapping[str, list[str]] | None = None, **about: Any
) -> Path:
    """A bare file of these datasets, with attributes, and names of the columns of some."""
    with h5py.File(path, "w") as file:
        file.attrs.update(about)
        for name, values in datasets.items():
            file[name] = values
        for name, columns in (names or {}).items():
            file[name].attrs["names"] = columns
    return path


def predicted(
    network: Restored, path: Path, split: str = "test", place: Path | None = None
) -> tuple[Array, Array | None, list[str]]:
    with network.opened(path, split=split, answers=False, place=place) as file:
        found = network.predict(file, split, ALONE)
        return found.rows, found.truth, [*file.remarks(), *found.remarks]


@pytest.fixture(scope="module")
def expected(network: Restored) -> Array:
    """What is predicted for the samples for testing, in the file of training."""
    return predicted(network, network.path.parents[2] / "data.h5")[0]


# --- only what is used


@pytest.mark.parametrize(
    ("dataset", "split", "said"),
    [
        ("test/x", "test", []),
        ("holdout/x", "holdout", []),
        ("val/x", "validation", ["val is taken for validation"]),
        ("val/x", "val", ["val is taken for validation"]),
        ("x", "test", ["all of x is taken for test"]),
        ("measured", "test", ["all of measured is taken for test"]),
    ],
)
def test_samples_alone_are_enough(
    dataset: str, split: str, said: list[str], network: Restored, expected: Array, tmp_path: Path
) -> None:
    rows, truth, remarks = predicted(network, file_of(tmp_path / "new.h5", {dataset: NEW}), split)
    np.testing.assert_array_equal(rows, expected)
    assert truth is None
    assert remarks == said


def test_evaluating_needs_its_split_only(network: Restored, tmp_path: Path) -> None:
    train_of_another_shape = {"test/x": NEW, "test/y": LABELS[60:], "train/x": np.zeros((2, 9)), "train/y": [7, 7]}
    path = file_of(tmp_path / "new.h5", train_of_another_shape, classes=CLASSES, task="classification")
    with network.opened(path, split="test", answers=True) as file:
        found, _ = network.evaluate(file, "test", ALONE)
    with network.opened(network.path.parents[2] / "data.h5", split="test", answers=True) as file:
        same, _ = network.evaluate(file, "test", ALONE)
    assert (found.mean_loss, found.accuracy, found.samples) == (same.mean_loss, same.accuracy, 30)


def test_several_files_of_which_not_all_have_the_split(network: Restored, expected: Array, tmp_path: Path) -> None:
    for name, dataset, rows in (("a", "test", slice(0, 10)), ("b", "train", slice(0, 5)), ("c", "test", slice(10, 30))):
        file_of(tmp_path / f"{name}.h5", {f"{dataset}/x": NEW[rows], f"{dataset}/y": LABELS[60:][rows]})
    rows, truth, _ = predicted(network, tmp_path / "*.h5")
    np.testing.assert_array_equal(rows, expected)
    assert truth is not None and truth.tolist() == LABELS[60:].tolist()
    with pytest.raises(DataError, match="no split `validation`"):
        predicted(network, tmp_path / "*.h5", "validation")


def test_what_was_cut_is_cut_alike_but_other_files_are_used_whole(tmp_path: Path) -> None:
    data = file_of(tmp_path / "all.h5", {"train/x": SAMPLES, "train/y": LABELS}, task="classification", classes=CLASSES)
    sections = {
        "model": {"kind": "mlp", "hidden": [8]},
        "data": {"path": str(data), "batch_size": 20, "split": {"test": 0.2}},
    }
    train(settings(**sections), out=tmp_path / "run", world=ALONE)
    network = restore(tmp_path / "run", ALONE.comm)
    assert len(predicted(network, data)[0]) == 18
    assert len(predicted(network, file_of(tmp_path / "new.h5", {"x": NEW}))[0]) == 30


def test_what_is_missing_is_said(network: Restored, tmp_path: Path) -> None:
    path = file_of(tmp_path / "new.h5", {"test/x": NEW, "more/x": NEW})
    with pytest.raises(DataError, match=r"no dataset `test/y`"):
        network.opened(path, split="test", answers=True)
    with pytest.raises(DataError, match=r"no split `tset` \(did you mean 'test'\?\); it holds more, test\."):
        network.opened(path, split="tset", answers=False)


@pytest.mark.parametrize(
    ("y", "why"), [(np.full(30, -1), "label -1"), (np.full(30, np.nan), "nan"), (np.zeros((30, 4)), "shape")]
)
def test_answers_that_make_no_sense_keep_nobody_from_predicting(
    y: Array, why: str, network: Restored, expected: Array, tmp_path: Path
) -> None:
    """As in files of competitions, where they stand for what isn't known."""
    rows, truth, remarks = predicted(network, file_of(tmp_path / "new.h5", {"test/x": NEW, "test/y": y}))
    np.testing.assert_array_equal(rows, expected)
    assert truth is None
    assert any("is not used" in text and why in text for text in remarks), remarks


# --- matched by name


@pytest.mark.parametrize("order", [["eel", "cat", "dog"], ["dog", "eel", "cat"]])
def test_classes_in_another_order(order: list[str], network: Restored, expected: Array, tmp_path: Path) -> None:
    labels = np.array([order.index(CLASSES[label]) for label in LABELS[60:]])
    datasets = {"test/x": NEW, "test/y": labels}
    path = file_of(tmp_path / "new.h5", datasets, task="classification", classes=order)
    with network.opened(path, split="test", answers=True) as file:
        found, _ = network.evaluate(file, "test", ALONE)
        assert "the classes are matched by name with those of training" in file.remarks()
    assert found.accuracy == np.mean(expected.argmax(axis=1) == LABELS[60:])
    assert found.mean_loss == pytest.approx(-np.log(expected[np.arange(30), LABELS[60:]]).mean(), rel=1e-5)
    _, truth, _ = predicted(network, path)
    assert truth is not None and truth.tolist() == LABELS[60:].tolist()


def test_some_of_the_classes_are_enough_and_others_are_refused(network: Restored, tmp_path: Path) -> None:
    mask = LABELS[60:] != 1
    datasets = {"test/x": NEW[mask], "test/y": (LABELS[60:][mask] == 0).astype(int)}
    path = file_of(tmp_path / "two.h5", datasets, task="classification", classes=["eel", "cat"])
    _, truth, _ = predicted(network, path)
    assert truth is not None and truth.tolist() == LABELS[60:][mask].tolist()
    other = file_of(tmp_path / "other.h5", datasets, task="classification", classes=["eel", "bat"])
    with pytest.raises(DataError, match="classes that the network wasn't trained on: bat; it knows cat, dog, eel"):
        network.opened(other, split="test", answers=True)
    assert predicted(network, other)[1] is None
    wrong = file_of(
        tmp_path / "wrong.h5",
        datasets | {"test/y": np.full(mask.sum(), 2)},
        task="classification",
        classes=["eel", "cat"],
    )
    with (
        network.opened(wrong, split="test", answers=True) as file,
        pytest.raises(DataError, match=r"y\[0\] is the label 2"),
    ):
        network.evaluate(file, "test", ALONE)


@pytest.mark.parametrize("order", [[2, 0, 1], [0, 2, 1]])
def test_features_in_another_order(order: list[int], network: Restored, expected: Array, tmp_path: Path) -> None:
    x, names = NEW[:, order], [FEATURES[place] for place in order]
    path = file_of(tmp_path / "new.h5", {"test/x": x}, {"test/x": names})
    rows, _, remarks = predicted(network, path)
    np.testing.assert_array_equal(rows, expected)
    assert remarks == ["the columns of x are matched by name with those of training"]


def test_further_features_are_left_out_and_missing_ones_refused(
    network: Restored, expected: Array, tmp_path: Path
) -> None:
    x, names = np.concatenate([np.ones((30, 1)), NEW], axis=1).astype(np.float32), ["id", *FEATURES]
    rows, _, remarks = predicted(network, file_of(tmp_path / "new.h5", {"test/x": x}, {"test/x": names}))
    np.testing.assert_array_equal(rows, expected)
    assert remarks == ["the columns of x are matched by name with those of training; not used: id"]
    other = file_of(tmp_path / "other.h5", {"test/x": NEW}, {"test/x": ["height", "wieght", "age"]})
    with pytest.raises(DataError, match="was trained with height, weight, age: there is no weight"):
        predicted(network, other)


def test_targets_by_their_names(regression: Restored, tmp_path: Path) -> None:
    datasets = {"test/x": NEW, "test/y": OUTPUTS[60:, ::-1]}
    turned = file_of(tmp_path / "turned.h5", datasets, {"test/y": ["rent", "price"]}, task="regression")
    np.testing.assert_array_equal(predicted(regression, turned)[1], OUTPUTS[60:])
    mask = RANDOM.integers(0, 2, (30, 2))
    sums = []
    for name, order in (("as it was", slice(None)), ("turned", slice(None, None, -1))):
        parts = {"test/x": NEW, "test/y": OUTPUTS[60:, order], "test/mask": mask[:, order]}
        names = {"test/y": ["price", "rent"][order]}
        path = file_of(tmp_path / f"mask {name}.h5", parts, names, task="regression")
        with regression.opened(path, split="test", answers=True) as file:
            sums.append(regression.evaluate(file, "test", ALONE)[0].vector)
    np.testing.assert_array_equal(*sums)
    other = file_of(tmp_path / "other.h5", datasets, {"test/y": ["rent", "size"]}, task="regression")
    with pytest.raises(DataError, match=r"test/y has the columns rent, size, but .* price, rent: there is no price"):
        regression.opened(other, split="test", answers=True)


def test_targets_of_another_shape(regression: Restored, tmp_path: Path) -> None:
    path = file_of(tmp_path / "new.h5", {"test/x": NEW, "test/y": OUTPUTS[60:, 0]}, task="regression")
    with pytest.raises(DataError, match=r"test/y has the shape \(30,\), but .* of the shape \('N', 2\)"):
        regression.opened(path, split="test", answers=True)
    rows, truth, _ = predicted(regression, path)
    assert rows.shape == (30, 2)
    assert truth is None


def test_a_single_target_is_one_with_or_without_an_axis(tmp_path: Path) -> None:
    network = trained(tmp_path, OUTPUTS[:, :1], {}, task="regression")
    path = file_of(tmp_path / "new.h5", {"test/x": NEW, "test/y": OUTPUTS[60:, 0]}, task="regression")
    with network.opened(path, split="test", answers=True) as file:
        found, _ = network.evaluate(file, "test", ALONE)
    rows, truth, _ = predicted(network, path)
    np.testing.assert_array_equal(truth, OUTPUTS[60:, :1])
    assert found.mean_loss == pytest.approx(np.mean((rows - OUTPUTS[60:, :1]) ** 2), rel=1e-5)


def test_integers_are_scaled_as_in_training(tmp_path: Path) -> None:
    network = trained(tmp_path, LABELS, {}, scale=0.25, task="classification", classes=CLASSES)
    expected, _, _ = predicted(network, tmp_path / "data.h5")
    counts = np.round(NEW / 0.25).astype(np.int16)
    rows, _, remarks = predicted(network, file_of(tmp_path / "new.h5", {"test/x": counts}))
    np.testing.assert_array_equal(rows, expected)
    assert remarks == ["x is multiplied by 0.25, as in training"]
    scaled = (counts * 0.25).astype(np.float32)
    rows, _, remarks = predicted(network, file_of(tmp_path / "scaled.h5", {"test/x": scaled}))
    np.testing.assert_array_equal(rows, expected)
    assert remarks == ["x holds float32, which is used as it is; in training integers were multiplied by 0.25"]


# --- plain arrays and tables


def predicted_plain(network: Restored, path: Path, x: str | None = None) -> tuple[Array, Array | None]:
    before = set(path.parent.iterdir())
    with network.as_data_file(path, path.parent, "test", x, ALONE.comm) as file:
        assert set(path.parent.iterdir()) == before, "nothing is left behind, even of a job that is killed now"
        rows, truth, _ = predicted(network, path, place=file)
    return rows, truth


def test_arrays_of_numpy(network: Restored, expected: Array, tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", whatever=NEW)
    np.savez(tmp_path / "two.npz", x=NEW, labels=LABELS[60:])
    np.savez(tmp_path / "many.npz", a=NEW, b=NEW[:, :2])
    np.testing.assert_array_equal(predicted_plain(network, tmp_path / "one.npz")[0], expected)
    rows, truth = predicted_plain(network, tmp_path / "two.npz")
    np.testing.assert_array_equal(rows, expected)
    assert truth is not None and truth.tolist() == LABELS[60:].tolist()
    np.testing.assert_array_equal(predicted_plain(network, tmp_path / "many.npz", "a")[0], expected)
    with pytest.raises(DataError, match=r"several arrays: it holds a, b\. Name the samples with --x NAME"):
        predicted_plain(network, tmp_path / "many.npz")
    with pytest.raises(DataError, match=r"many.npz holds samples of shape \(2,\)"):
        predicted_plain(network, tmp_path / "many.npz", "b")


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_tables_by_the_names_of_their_columns(
    ending: str, network: Restored, expected: Array, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(NEW[:, [2, 0, 1]], columns=["age", "height", "weight"])
    frame.insert(1, "who", [f"n{k}" for k in range(30)])
    path = tmp_path / f"new{ending}"
    if ending == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if ending == ".tsv" else ",")
    rows, _ = predicted_plain(network, path)
    np.testing.assert_array_equal(rows, expected)
    assert capsys.readouterr().err == f"{path}: not used: who\n"
    frame.drop(columns="weight").rename(columns={"age": "weigth"}).to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(DataError, match="has no column"):
        predicted_plain(network, tmp_path / "bad.csv")


def test_tables_without_known_names_by_their_order(regression: Restored, tmp_path: Path) -> None:
    expected, _, _ = predicted(regression, regression.path.parents[2] / "data.h5")
    np.savetxt(tmp_path / "new.csv", NEW, delimiter=";", fmt="%.9g")
    np.testing.assert_array_equal(predicted_plain(regression, tmp_path / "new.csv")[0], expected)
    np.savetxt(tmp_path / "two.csv", NEW[:, :2], delimiter=",")
    with pytest.raises(DataError, match="has 2 columns, but the network takes 3 numbers"):
        predicted_plain(regression, tmp_path / "two.csv")


def test_words_become_the_features_that_they_were_in_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the truth, by the names of the classes."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"size": np.arange(40) % 7, "colour": ["red", "green", "1"] * 13 + ["red"]})
    frame["kind"] = np.where(frame["colour"] == "red", "apple", "pear")
    frame.to_csv(tmp_path / "fruit.csv", index=False)
    colour = ("--types", "colour=category")
    done = distnn("data", "csv", tmp_path / "fruit.csv", "--target", "kind", *colour, "-o", tmp_path / "fruit.h5")
    assert done.returncode == 0, done.stderr
    data = {"path": str(tmp_path / "fruit.h5"), "batch_size": 8}
    train(settings(model={"kind": "softmax"}, data=data), out=tmp_path / "run", world=ALONE)
    network = restore(tmp_path / "run", ALONE.comm)
    x = np.stack([frame["size"], *(frame["colour"] == word for word in ("1", "green", "red"))], axis=1)
    names = ["size", *(f"colour={word}" for word in ("1", "green", "red"))]
    path = file_of(tmp_path / "same.h5", {"test/x": x.astype(np.float32)}, {"test/x": names})
    expected, _, _ = predicted(network, path)
    rows, truth = predicted_plain(network, tmp_path / "fruit.csv")
    np.testing.assert_array_equal(rows, expected)
    assert truth is not None and truth.tolist() == (frame["kind"] == "pear").astype(int).tolist()
    capsys.readouterr()
    frame["colour"] = "blue"
    frame.to_csv(tmp_path / "blue.csv", index=False)
    predicted_plain(network, tmp_path / "blue.csv")
    assert (
        "column 'colour' has words that weren't there in training, and count as none: blue" in capsys.readouterr().err
    )


def test_another_dataset_by_its_path(network: Restored, expected: Array, tmp_path: Path) -> None:
    path = file_of(tmp_path / "new.h5", {"deep/down": NEW, "other": NEW[:3]})
    with network.opened(path, split="test", answers=False, x="deep/down") as file:
        np.testing.assert_array_equal(network.predict(file, "test", ALONE).rows, expected)
