"""Files that nothing describes: what is proposed for them is a run file's keys, and reads them as they were made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distnn.config.sections import DataSettings
from distnn.data import DataFile
from distnn.data.file.guess import guess, shown
from distnn.errors import DataError

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 5))
Y = np.arange(60) % 3
IMAGES = RANDOM.integers(0, 255, (60, 12, 12, 3)).astype("u1")
WORDS = np.array([b"ash", b"elm", b"oak"])


def table() -> np.ndarray:
    rows = np.zeros(60, [("index", "i8"), ("a", "f4"), ("b", "i4"), ("word", "S3"), ("price", "f8")])
    rows["a"], rows["b"], rows["price"] = X[:, 0], Y, X[:, 1]
    return rows


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], np.ndarray, np.ndarray]] = {
    "split in names": (
        {"X_train": X, "Y_train": Y, "X_test": X[:4], "Y_test": Y[:4], "more": X},
        {"x": "X_{split}", "y": "Y_{split}", "task": "classification", "classes": 3},
        X,
        Y,
    ),
    "split in the middle": (
        {"train_set_x": IMAGES, "train_set_y": Y, "list_classes": WORDS},
        {"x": "{split}_set_x", "y": "{split}_set_y", "task": "classification", "classes": 3},
        IMAGES,
        Y,
    ),
    "groups": (
        {"training/images": IMAGES.transpose(0, 3, 1, 2), "training/labels": WORDS[Y], "val/images": IMAGES[:0]},
        {
            "x": {"path": "{split}/images", "layout": "channels_first"},
            "y": "{split}/labels",
            "task": "classification",
            "classes": ["ash", "elm", "oak"],
        },
        IMAGES,
        Y,
    ),
    "reversed": (
        {"features": X.T, "y": Y[None] + 0.0},
        {
            "x": {"path": "features", "layout": "reversed"},
            "y": {"path": "y", "layout": "reversed"},
            "task": "classification",
            "classes": 3,
        },
        X,
        Y,
    ),
    "one-hot": (
        {"data/x": X, "data/y": np.eye(3)[Y]},
        {"x": "data/x", "y": {"path": "data/y", "layout": "one_hot"}, "task": "classification", "classes": 3},
        X,
        Y,
    ),
    "quantities": (
        {"inputs": X, "targets": X[:, :2]},
        {"x": "inputs", "y": "targets", "task": "regression"},
        X,
        X[:, :2],
    ),
    "as many numbers as samples": (
        {"x": X, "y": np.arange(60)},
        {"x": "x", "y": "y", "task": "regression"},
        X,
        np.arange(60),
    ),
    "a table": (
        {"t": table()},
        {"x": {"path": "t", "columns": ["a", "b"]}, "y": {"path": "t", "columns": ["price"]}, "task": "regression"},
        np.column_stack([X[:, 0].astype("f4"), Y]),
        X[:, 1],
    ),
    "pixels": (
        {"images": IMAGES, "masks": IMAGES[..., 0] % 3},
        {"x": "images", "y": "masks", "task": "segmentation", "classes": 3},
        IMAGES,
        IMAGES[..., 0] % 3,
    ),
    "only the task": ({"train/x": X, "train/y": Y}, {"task": "classification", "classes": 3}, X, Y),
}


def made(path: Path, datasets: dict[str, Any]) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            if values.size:
                file[name] = values
    return path


@pytest.mark.parametrize("name", CASES)
def test_what_is_proposed_reads_the_file(tmp_path: Path, name: str) -> None:
    datasets, expected, x, y = CASES[name]
    path = made(tmp_path / "a.h5", {key: value for key, value in datasets.items() if not key.startswith("val")})
    assert guess(path) == {"data": expected}
    with pytest.raises(DataError) as caught:
        DataFile(path)
    assert shown({"data": expected}) in str(caught.value)
    with DataFile(path, description=DataSettings(path=str(path), **expected).description()) as file:
        for values, wanted in zip(file.read("train"), (x, y), strict=True):
            np.testing.assert_array_equal(values, wanted)


@pytest.mark.parametrize("labels", [Y + 1, Y * 2 - 1, np.array([3, 5, 9])[Y], (Y + 1.0)])
def test_labels_that_do_not_begin_at_0(tmp_path: Path, labels: np.ndarray) -> None:
    """Each is a class, whose name is the label, and the transform that takes them in ascending order."""
    found = guess(made(tmp_path / "a.h5", {"x": X, "y": labels}))
    assert found["data"]["classes"] == [f"{label:g}" for label in np.unique(labels)]
    assert found["transforms"] == {"y": ["shift_labels"]}


@pytest.mark.parametrize(
    "datasets",
    [
        {},
        {"a": X[:, 0]},
        {"a": X, "b": X[:7]},
        {"a": WORDS},
        {"full": np.zeros((6, 6, 6, 4)), "names": np.array([b"a", b"b", b"c", b"d"])},
        {"t": np.zeros(5, [("word", "S3")])},
        {"a": np.array(3.0), "b": np.array(4.0)},
    ],
)
def test_nothing_is_proposed_where_nothing_fits(tmp_path: Path, datasets: dict[str, Any]) -> None:
    assert guess(made(tmp_path / "a.h5", datasets)) == {}


def test_files_elsewhere_are_not_read_for_it(tmp_path: Path) -> None:
    """The values of another folder's file, which a dataset names as its own, stay there."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere" / "raw").write_bytes(Y.tobytes())
    path = tmp_path / "in" / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = X
        file.create_dataset("y", (60,), Y.dtype, external=[(str(tmp_path / "elsewhere" / "raw"), 0, Y.nbytes)])
    assert guess(path) == {}
    assert guess(path, follow=True)["data"]["classes"] == 3


def test_what_attributes_say_is_not_said_again(tmp_path: Path) -> None:
    path = made(tmp_path / "a.h5", {"images": IMAGES, "labels": Y})
    with h5py.File(path, "r+") as file:
        file.attrs.update({"task": "classification", "classes": ["a", "b", "c"]})
    assert guess(path) == {"data": {"x": "images", "y": "labels"}}


def test_keys_as_a_run_file_has_them() -> None:
    assert shown({"data": {"x": {"path": "a b", "columns": ["ü"]}, "classes": 3}, "transforms": {"y": ["z"]}}) == (
        '[data] x = {path = "a b", columns = ["ü"]}, classes = 3; [transforms] y = ["z"]'
    )


def test_a_file_whose_root_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file["x"] = np.zeros(3)
    content = bytearray(path.read_bytes())
    content[content.index(b"OHDR") + 8] ^= 1  # its checksum doesn't fit any more
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.h5 is damaged|a\.h5.*can't be read"):
        guess(path)
