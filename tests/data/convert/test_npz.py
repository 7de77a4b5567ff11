"""Numpy archives: named splits or one x and y, and bad ones refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from distnn.data import DataFile
from distnn.data.convert import npz
from distnn.data.convert.npz import Naming
from distnn.data.convert.splits import Shares
from distnn.errors import DataError
from tests.support.files import contents, same

X = np.arange(60, dtype=np.float32).reshape(20, 3)
LABELS = np.arange(20) % 4


def npz_file(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


@given(
    x=hnp.arrays(
        st.sampled_from(["f4", "f8", "u1", ">i2"]),
        hnp.array_shapes(min_dims=2, max_dims=3, max_side=9),
        elements={"allow_nan": False, "allow_infinity": False},
    ),
    names=st.sampled_from(["x_train y_train x_val y_val", "X_train Y_train x_validation y_validation"]),
)
def test_npz_round_trip(tmp_path_factory: pytest.TempPathFactory, x: np.ndarray, names: str) -> None:
    assume(len(x) > 1)  # one sample would be of one class
    folder = tmp_path_factory.mktemp("npz")
    y = np.arange(len(x)) % 3
    source = npz_file(folder / "a.npz", **dict(zip(names.split(), (x, y, x, y), strict=True)))
    path = npz.convert(folder / "a.h5", source)
    same(contents(path), {"train": (x, y), "validation": (x, y)})


def test_npz_of_one_x_and_y_is_cut(tmp_path: Path) -> None:
    source = npz_file(tmp_path / "a.npz", x=X, y=LABELS)
    made = contents(npz.convert(tmp_path / "a.h5", source, cutting=Shares(0.2, 0.4, 3)))
    assert {split: len(y) for split, (_, y) in made.items()} == {"train": 8, "validation": 4, "test": 8}
    for split, (x, y) in made.items():
        np.testing.assert_array_equal(LABELS[(x[:, 0] / 3).astype(int)], y)  # each target stayed with its sample
        assert np.ptp(np.bincount(y, minlength=4)) <= 1, split
    again = contents(npz.convert(tmp_path / "b.h5", source, cutting=Shares(0.2, 0.4, 3)))
    other = contents(npz.convert(tmp_path / "c.h5", source, cutting=Shares(0.2, 0.4, 4)))
    same(made, again)
    assert not np.array_equal(made["train"][0], other["train"][0])
    assert list(contents(npz.convert(tmp_path / "d.h5", source, cutting=Shares(0, 0)))) == ["train"]


@pytest.mark.parametrize(
    ("y", "task", "expected", "classes"),
    [
        (LABELS, None, LABELS, ("0", "1", "2", "3")),
        (LABELS.reshape(20, 1), None, LABELS, ("0", "1", "2", "3")),
        (LABELS > 1, None, LABELS > 1, ("0", "1")),
        (LABELS.astype(float), "classification", LABELS, ("0", "1", "2", "3")),
        (np.array(["dog", "cat"] * 10), None, np.array([1, 0] * 10), ("cat", "dog")),
        (LABELS / 2, None, LABELS / 2, ()),
        (LABELS, "regression", LABELS, ()),
        (X[:, :2], None, X[:, :2], ()),
    ],
)
def test_npz_targets(tmp_path: Path, y: np.ndarray, task: str | None, expected: np.ndarray, classes: tuple) -> None:
    source = npz_file(tmp_path / "a.npz", x_train=X, y_train=y, x_test=X[:5], y_test=y[:5])
    path = npz.convert(tmp_path / "a.h5", source, task=task)
    same(contents(path), {"train": (X, expected), "test": (X[:5], expected[:5])})
    with DataFile(path) as file:
        assert file.classes == classes and file.task == ("classification" if classes else "regression")


@pytest.mark.parametrize(
    "names",
    [
        "train_images train_labels val_images val_labels test_images test_labels",
        "x_train y_train x_valid y_valid x_test y_test",
        "trainX trainY devX devY testX testY",
        "images-train labels-train images-dev labels-dev images-test labels-test",
        "Training Data,Training Target,Validation Data,Validation Target,Testing Data,Testing Target",
    ],
)
def test_usual_names_are_known(tmp_path: Path, names: str) -> None:
    keys = names.split("," if "," in names else " ")
    arrays = [X, LABELS, X[:10], LABELS[:10], X[5:], LABELS[5:]]
    lines: list[str] = []
    source = npz_file(tmp_path / "a.npz", mean=X[0], **dict(zip(keys, arrays, strict=True)))
    made = contents(npz.convert(tmp_path / "a.h5", source, tell=lines.append))
    same(made, {"train": (X, LABELS), "validation": (X[:10], LABELS[:10]), "test": (X[5:], LABELS[5:])})
    assert lines == ["arrays left out: mean"]


def test_other_names_are_given(tmp_path: Path) -> None:
    source = npz_file(tmp_path / "a.npz", a_train=X, a_val=X[:8], b_train=LABELS, b_val=LABELS[:8], x=X, z=LABELS)
    made = contents(npz.convert(tmp_path / "a.h5", source, naming=Naming("a_{split}", ("b_{split}",))))
    same(made, {"train": (X, LABELS), "validation": (X[:8], LABELS[:8])})
    made = contents(npz.convert(tmp_path / "b.h5", source, naming=Naming(y=("z",)), cutting=Shares(0, 0)))
    assert list(made) == ["train"] and len(made["train"][1]) == 20


def test_several_targets_and_weights(tmp_path: Path) -> None:
    u, v, w = LABELS * 1.5, X[:, :2] + 0.5, np.arange(20.0)
    source = npz_file(tmp_path / "a.npz", x=X, u=u, v=v, w=w)
    naming, whole = Naming(y=("u", "v"), weight="w"), Shares(0, 0)
    with (
        DataFile(npz.convert(tmp_path / "a.h5", source, naming=naming, cutting=whole)) as file,
        h5py.File(file.path) as raw,
    ):
        assert file.task == "regression" and file.fields == ("x", "y", "weight")
        rows = (raw["train/x"][:, 0] / 3).astype(int)
        np.testing.assert_array_equal(raw["train/y"][()], np.column_stack([u, v])[rows])
        np.testing.assert_array_equal(raw["train/weight"][()], w[rows])
    with DataFile(npz.convert(tmp_path / "b.h5", source, naming=Naming(y=("w", "u")), cutting=whole)) as file:
        assert file.names("y") == ("w", "u")
    np.savez(source, x=X, u=u, v=v[:3])
    with pytest.raises(DataError, match=r"targets of the shapes .* can't be joined; expected \(N,\) or \(N, columns\)"):
        npz.convert(tmp_path / "c.h5", source, naming=Naming(y=("u", "v")))


@pytest.mark.parametrize(
    ("y", "labels", "classes", "line"),
    [
        (np.eye(4)[LABELS], LABELS, tuple("0123"), "y: rows with a single 1, as the 4 classes 0..3"),
        (np.eye(4, dtype=bool)[LABELS], LABELS, tuple("0123"), "y: rows with a single 1, as the 4 classes 0..3"),
        (LABELS + 1, LABELS, tuple("1234"), "y: the labels 1, 2, 3, 4, as 4 classes of these names"),
        (LABELS % 2 * 2 - 1, LABELS % 2, ("-1", "1"), "y: the labels -1, 1, as 2 classes of these names"),
        (LABELS * 10**8, LABELS, ("0", "100000000", "200000000", "300000000"), "y: the labels 0, 100000000, "),
    ],
)
def test_labels_that_are_not_0_1_2(
    tmp_path: Path, y: np.ndarray, labels: np.ndarray, classes: tuple, line: str
) -> None:
    lines: list[str] = []
    source = npz_file(tmp_path / "a.npz", x_train=X, y_train=y, x_test=X[:9], y_test=y[:9])
    path = npz.convert(tmp_path / "a.h5", source, tell=lines.append)
    same(contents(path), {"train": (X, labels), "test": (X[:9], labels[:9])})
    with DataFile(path) as file:
        assert file.classes == classes
    assert len(lines) == 1 and lines[0].startswith(line)


def test_images_have_a_scale_and_channels_last(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 6, 5), "u1")
    lines: list[str] = []
    source = npz_file(tmp_path / "a.npz", x=images, y=LABELS)
    path = npz.convert(
        tmp_path / "a.h5", source, naming=Naming(layout="channels_first"), cutting=Shares(0, 0), tell=lines.append
    )
    with DataFile(path) as file:
        assert file.scale == 1 / 255 and file.sample_shape == (6, 5, 3)
        x, _ = file.read("train")
    assert {image.tobytes() for image in x} == {image.tobytes() for image in images.transpose(0, 2, 3, 1)}
    assert lines[-1] == "x: images of 8 bits, to be multiplied by 1/255"


@pytest.mark.parametrize(("values", "classes"), [([0, 1, 2], ("0", "1", "2")), ([0, 255], ("0", "255"))])
def test_labels_of_pixels(tmp_path: Path, values: list[int], classes: tuple[str, ...]) -> None:
    images = np.random.default_rng(0).random((20, 6, 5, 2))
    labels = np.random.default_rng(1).choice(np.array(values, "u1"), (20, 6, 5))
    lines: list[str] = []
    source = npz_file(tmp_path / "a.npz", x_train=images, y_train=labels)
    path = npz.convert(tmp_path / "a.h5", source, task="segmentation", tell=lines.append)
    with DataFile(path) as file:
        assert (file.task, file.classes) == ("segmentation", classes)
        np.testing.assert_array_equal(file.read("train")[1], np.searchsorted(values, labels))
    assert lines == (["y: the labels 0 and 255, as 2 classes of these names"] if values[1:] == [255] else [])
    with pytest.raises(DataError, match=r"labels have the shape \(20, 6, 5\).* --task segmentation"):
        npz.convert(tmp_path / "b.h5", source)
    source = npz_file(tmp_path / "a.npz", x_train=images, y_train=labels / 2 + 0.1)
    with pytest.raises(DataError, match=r"y\[0, 0, 0\] is .*, but labels are integers"):
        npz.convert(tmp_path / "b.h5", source, task="segmentation")


@pytest.mark.parametrize(("dtype", "most"), [("u1", 1), ("u2", 4000), ("i8", 255)])
def test_other_integers_are_used_as_they_are(tmp_path: Path, dtype: str, most: int) -> None:
    images = np.zeros((20, 6, 5), dtype)
    images[3] = most
    lines: list[str] = []
    source = npz_file(tmp_path / "a.npz", x_train=images, y_train=LABELS)
    with DataFile(npz.convert(tmp_path / "a.h5", source, tell=lines.append)) as file:
        assert file.scale is None
    assert lines == [f"x: {images.dtype} from 0 to {most}, used as they are"]


@pytest.mark.parametrize(
    ("arrays", "options", "expected"),
    [
        ({"a": X}, {}, "holds the arrays a; expected names such as x_train and y_train"),
        ({"x_train": X}, {}, "has x_train without y of train; expected names"),
        ({"x_train": X, "y_train": LABELS, "y_val": LABELS}, {}, "has y_val without x of validation"),
        ({"x": X, "y": LABELS[:9]}, {}, r"the shapes x \(20, 3\) and y \(9,\) differ in their length"),
        ({"x": X, "y": np.int64(3)}, {}, r"the labels have the shape \(\); expected \(N,\)"),
        ({"x": X, "y": X[:, :2].astype(int)}, {}, r"the labels have the shape \(20, 2\); expected \(N,\)"),
        ({"x": X, "y": LABELS.astype(float)}, {}, "holds 4 different whole numbers written as floats, such as 0.0, in"),
        ({"x": X, "y": np.arange(20) * 7}, {}, "holds 20 different integers in 20 samples, which may be classes or"),
        ({"x": X, "y": LABELS * 0 + 5}, {}, "y holds 1 different labels, 5, in 20 samples; expected at least 2"),
        ({"x": X, "images": X, "y": LABELS}, {}, "x and images may both be x of all; say which with --x"),
        ({"scans": X, "y": LABELS}, {"naming": Naming(x="scan")}, r"has no array 'scan' \(did you mean 'scans'\?\)"),
        ({"x": X.reshape(20, 3, 1, 1).repeat(5, 2).repeat(5, 3), "y": LABELS}, {}, "--layout channels_first"),
        ({"x": X, "y": LABELS}, {"naming": Naming(layout="channels_first")}, r"x has the shape \(20, 3\); channels_f"),
        ({"x": X, "y": LABELS / 2}, {"task": "classification"}, r"y\[1\] is 0.5, but labels are integers"),
        ({"x": X, "y": LABELS}, {"cutting": Shares(0.4, 0.6)}, "leaves none of the 20 samples to train on"),
        (
            {"x_train": X, "y_train": LABELS},
            {"cutting": Shares(test=0.5)},
            r"names its own splits \(train\), so fractions",
        ),
        ({"x": X[:, 0], "y": LABELS}, {}, r"train/x has the shape \(16,\); expected \(N, …\)"),
        ({"x": X + np.inf, "y": LABELS}, {}, r"train/x\[0, 0\] is inf"),
        ({"x": np.array([{}] * 20), "y": LABELS}, {}, "Arrays of Python objects can hold code and are not read"),
    ],
)
def test_a_bad_npz_is_refused(tmp_path: Path, arrays: dict[str, Any], options: dict[str, Any], expected: str) -> None:
    source = npz_file(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=expected):
        npz.convert(tmp_path / "a.h5", source, **options)
    assert not (tmp_path / "a.h5").exists()


def test_what_is_no_npz_is_refused(tmp_path: Path) -> None:
    source = npz_file(tmp_path / "a.npz", x=X, y=LABELS)
    whole = source.read_bytes()
    for content in (b"", b"hello", whole[:100], whole[: len(whole) // 2], whole[:-30]):
        source.write_bytes(content)
        with pytest.raises(DataError, match="can't be read as a numpy archive"):
            npz.convert(tmp_path / "a.h5", source)
    np.save(tmp_path / "b.npy", X)
    with pytest.raises(DataError, match=r"is a \.npy file with one array; expected names such as x_train"):
        npz.convert(tmp_path / "a.h5", tmp_path / "b.npy")
    with pytest.raises(DataError, match=r"There is no archive .*none\.npz"):
        npz.convert(tmp_path / "a.h5", tmp_path / "none.npz")
