"""Data files: what is written comes back, a bad file is refused in words, slab by slab."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from distnn.data import DataFile, write_data
from distnn.data.file.checks import SPLITS
from distnn.errors import DataError
from tests.support.files import CLASSES, X, Y, bare, classification, one_paragraph, refused


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = classification(tmp_path / "a.h5", source="the field", licence="CC0")
    with DataFile(path) as file:
        assert (file.path, file.task, file.classes) == (path, "classification", CLASSES)
        assert (file.splits, file.sample_shape, file.target_shape) == (("train", "test"), (4,), ())
        assert (file.x_dtype, file.scale, file.count("train"), file.count("test")) == (np.float32, None, 6, 2)
        x, y = file.read("train", 2, 5)
        np.testing.assert_array_equal(x, X[2:5])
        np.testing.assert_array_equal(y, Y[2:5])
        assert len(file.read("train", 3, 3)[0]) == 0
    with h5py.File(path) as raw:
        assert raw.attrs["source"] == "the field" and raw.attrs["licence"] == "CC0"
        assert raw.attrs["created_by"].startswith("distnn ")


@given(
    x=hnp.arrays(
        st.sampled_from(["<f4", ">f4", "<f8", "u1", "<u2", ">i4", "?"]),
        hnp.array_shapes(min_dims=2, max_dims=4, max_side=7),
        elements={"allow_nan": False, "allow_infinity": False},
    ),
    cut=st.tuples(st.integers(0, 7), st.integers(0, 7)),
)
def test_any_slab_of_any_array_comes_back(tmp_path_factory: pytest.TempPathFactory, x: np.ndarray, cut: tuple) -> None:
    path = tmp_path_factory.mktemp("slab") / "a.h5"
    start, stop = sorted(min(edge, len(x)) for edge in cut)
    y = x.reshape(len(x), -1)[:, :1]
    write_data(path, {"train": (x, y)}, task="regression")
    with DataFile(path) as file:
        samples, targets = file.read("train", start, stop)
    assert samples.dtype == x.dtype.newbyteorder("=") and samples.dtype.isnative
    np.testing.assert_array_equal(samples, x[start:stop])
    np.testing.assert_array_equal(targets, y[start:stop])


def test_files_of_other_programs_are_read(tmp_path: Path) -> None:
    images = np.arange(12, dtype=np.int16).reshape(3, 2, 2)
    attributes = {"task": np.bytes_("classification"), "classes": np.array([b"no", b"yes"])}
    path = bare(
        tmp_path / "a.h5", attributes=attributes, train__x=images.astype(">i2"), train__y=np.array([True, False, True])
    )
    with DataFile(path) as file:
        x, y = file.read("train")
        assert (file.classes, file.scale, file.x_dtype.isnative) == (("no", "yes"), None, True)
    assert x.dtype == np.int16 and y.dtype == np.uint8
    np.testing.assert_array_equal(x, images)
    np.testing.assert_array_equal(y, [1, 0, 1])


@pytest.mark.parametrize("filled", [lambda text: f"{text:<20}".encode(), lambda text: f"{text}\0\0".encode(), str])
@pytest.mark.parametrize("held", [lambda value: value, lambda value: np.array([value]), lambda value: [[value]]])
def test_texts_of_attributes_as_other_programs_write_them(tmp_path: Path, filled: Any, held: Any) -> None:
    """Arrays of one (R, NetCDF), filled up with blanks (Fortran) or NULs (C)."""
    kind = np.bytes_ if isinstance(filled(""), bytes) else h5py.string_dtype()
    attributes = {
        "task": np.array(held(filled("classification")), kind),
        "classes": np.array([held(filled(name)) for name in CLASSES], kind),
    }
    with DataFile(bare(tmp_path / "a.h5", attributes=attributes, train__x=X, train__y=Y)) as file:
        assert (file.task, file.classes) == ("classification", CLASSES)


def test_blanks_that_are_names_stay(tmp_path: Path) -> None:
    attributes = {"task": "language", "classes": np.array([b" ", b"a"])}
    with DataFile(bare(tmp_path / "a.h5", attributes=attributes, train__x=[[0, 1]], train__y=[[1, 0]])) as file:
        assert file.classes == (" ", "a")


@pytest.mark.parametrize(
    ("dtype", "scale", "expected"),
    [
        ("u1", None, None),
        ("u2", None, None),
        ("u1", 1 / 16, 1 / 16),
        ("i4", None, None),
        ("?", None, None),
        ("f4", None, None),
        ("f4", 0.5, 0.5),
    ],
)
def test_scale(tmp_path: Path, dtype: str, scale: float | None, expected: float | None) -> None:
    with DataFile(classification(tmp_path / "a.h5", splits={"train": (X.astype(dtype), Y)}, scale=scale)) as file:
        assert file.scale == expected


@pytest.mark.parametrize("y", [Y.astype(np.float32), Y.reshape(6, 1), X, Y])
def test_targets_of_a_regression_have_any_shape(tmp_path: Path, y: np.ndarray) -> None:
    with DataFile(write_data(tmp_path / "a.h5", {"train": (X, y)}, task="regression")) as file:
        assert (file.task, file.classes, file.target_shape) == ("regression", (), y.shape[1:])
        np.testing.assert_array_equal(file.read("train")[1], y)


def test_opening_and_reading_touch_only_what_is_asked_for(tmp_path: Path) -> None:
    x = np.zeros((4000, 1000), np.float32)
    path = write_data(tmp_path / "a.h5", {"train": (x, x[:, 0])}, task="regression")
    before = bytes_read()
    with DataFile(path) as file:
        opened = bytes_read()
        file.read("train", 100, 110)
    assert opened - before < 1e6 and bytes_read() - opened < 3e6  # of 16e6
    with h5py.File(path) as raw:
        chunks = raw["train/x"].chunks
        assert chunks[1:] == x.shape[1:] and 256 * 1024 <= chunks[0] * 4000 <= 1024 * 1024


def bytes_read() -> int:
    counters = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counters["rchar"])


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    good = classification(tmp_path / "good.h5").read_bytes()
    bad = tmp_path / "bad.h5"
    for content in (b"", good[:10], good[:300], good[: len(good) // 2], good[:-1], os.urandom(5000)):
        bad.write_bytes(content)
        text = refused(bad)
        assert f"({len(content)} bytes) can't be read as HDF5" in text and "truncated or damaged" in text


def test_damage_inside_is_refused(tmp_path: Path) -> None:
    """Any damage gives either a DataError or values: never another exception."""
    good = classification(tmp_path / "good.h5").read_bytes()
    bad = tmp_path / "bad.h5"
    random = np.random.default_rng(0)
    for _ in range(60):
        content = bytearray(good)
        start = int(random.integers(len(content) - 40))
        content[start : start + 40] = random.bytes(40)
        bad.write_bytes(content)
        try:
            with DataFile(bad) as file:
                for split in file.splits:
                    file.read(split)
        except DataError as error:
            assert "\n" not in str(error)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    text = refused(tmp_path / "none.h5")
    assert f"There is no data file {tmp_path / 'none.h5'}" in text and "make one with `distnn data`" in text
    assert "is a folder; expected an HDF5 data file" in refused(tmp_path)


def test_a_locked_file_is_refused_and_readers_share(tmp_path: Path) -> None:
    path = classification(tmp_path / "a.h5")
    with DataFile(path), DataFile(path), open(path, "rb") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(reader, fcntl.LOCK_UN)
    with open(path, "rb+") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert "is locked: another program has it open for writing" in refused(path)


def test_a_file_system_without_locks_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = classification(tmp_path / "a.h5")
    real = h5py.File

    def file(name: Path, mode: str, locking: Any) -> Any:
        if locking:
            raise OSError(524, "Unable to synchronously open file (unable to lock file, errno = 524)")
        return real(name, mode, locking=locking)

    monkeypatch.setattr(h5py, "File", file)
    with DataFile(path) as opened:
        assert opened.count("train") == 6


@pytest.mark.parametrize(
    ("datasets", "expected"),
    [
        ({"train__x": X}, "has no dataset `train/y`: expected x (N, …) and y in the group train; found x."),
        ({"train__X": X, "train__y": Y}, "has no dataset `train/x`: expected x (N, …) and y in the group train"),
        ({"test__x": X, "test__y": Y}, "has no group `train`: expected the groups train and, optionally, validation"),
        ({"trian__x": X, "trian__y": Y}, "has no group `train` (did you mean 'trian'?)"),
        ({}, "found nothing."),
        ({"train": X}, "has no group `train`"),
        ({"train__x": X, "train__y": Y, "test": X}, "has no dataset `test/x`"),
        ({"train__x": X, "train__y": h5py.Empty("i4")}, "has no dataset `train/y`"),
        ({"train__x": X, "train__y": Y[:5]}, "train/x holds 6 samples but train/y has the shape (5,); expected one"),
        ({"train__x": X, "train__y": 3}, "train/x holds 6 samples but train/y has the shape ()"),
        ({"train__x": 3.0, "train__y": Y}, "train/x has the shape (); expected (N, …), one row for each sample"),
        (
            {"train__x": X[:0], "train__y": Y[:0]},
            "the split `train` is empty (x (0, 4), y (0,)); expected at least one",
        ),
        ({"train__x": X[:, :0], "train__y": Y}, "with at least one value"),
        ({"train__x": X.astype("S3"), "train__y": Y}, "train/x has the type |S3, which distnn can't compute with"),
        ({"train__x": X + 1j, "train__y": Y}, "train/x has the type complex64, which distnn can't compute with"),
        ({"train__x": ["a"] * 6, "train__y": Y}, "train/x has the type object, which distnn can't compute with"),
        ({"train__x": X, "train__y": Y + 1j}, "train/y has the type complex128, which distnn can't compute with"),
        ({"train__x": X, "train__y": np.eye(6, dtype=int)}, "train/y has the shape (6, 6), but labels for classificat"),
        (
            {"train__x": X, "train__y": Y, "test__x": X[:, :3], "test__y": Y},
            "test/x has the shape (6, 3) but train/x (6, 4); expected samples of one shape in all splits",
        ),
        (
            {"train__x": X, "train__y": Y, "test__x": X.astype(int), "test__y": Y},
            "test/x has the type int64 but train/x float32; expected one type in all splits",
        ),
    ],
)
def test_a_wrong_structure_is_refused(tmp_path: Path, datasets: dict[str, Any], expected: str) -> None:
    assert expected in refused(bare(tmp_path / "a.h5", **datasets))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            {},
            "has no root attribute `task`: expected 'classification', 'regression', 'segmentation' or 'language'. Set",
        ),
        ({"task": "clasification"}, "unknown task 'clasification' (did you mean 'classification'?)"),
        ({"task": "classification"}, "names no classes: expected the root attribute `classes`, a list of names in the"),
        ({"task": "classification", "classes": "abc"}, "the attribute `classes` as 'abc'; expected a list of names"),
        ({"task": "classification", "classes": 3}, "expected a list of names, one for each class"),
    ],
)
def test_wrong_attributes_are_refused(tmp_path: Path, attributes: dict[str, Any], expected: str) -> None:
    assert expected in refused(bare(tmp_path / "a.h5", attributes=attributes, train__x=X, train__y=Y))


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, "1/16", [1.0, 2.0]])
def test_a_scale_that_is_no_positive_number_is_refused(tmp_path: Path, scale: Any) -> None:
    path = bare(tmp_path / "a.h5", train__x=X, train__y=Y)
    with h5py.File(path, "r+") as file:
        file["train/x"].attrs["scale"] = scale
    assert "the attribute `scale` of train/x is" in refused(path)


def test_scales_that_differ_are_refused(tmp_path: Path) -> None:
    path = bare(tmp_path / "a.h5", train__x=X, train__y=Y, test__x=X, test__y=Y)
    with h5py.File(path, "r+") as file:
        file["train/x"].attrs["scale"] = 0.5
    assert "test/x has the attribute scale=None but train/x scale=0.5" in refused(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_where_they_are(tmp_path: Path, bad: float) -> None:
    x = X.copy()
    x[4, 1] = bad
    path = bare(tmp_path / "a.h5", train__x=x, train__y=Y)
    with DataFile(path) as file:
        file.read("train", 0, 4)
        with pytest.raises(DataError) as caught:
            file.read("train", 3, 6)
    assert f"train/x[4, 1] is {bad}, and one such value" in one_paragraph(caught, path)
    path = bare(tmp_path / "b.h5", attributes={"task": "regression"}, train__x=X, train__y=x[:, 1])
    with DataFile(path) as file, pytest.raises(DataError) as caught:
        file.read("train", 3)
    assert f"train/y[4] is {bad}" in one_paragraph(caught, path)


@pytest.mark.parametrize("bad", [-1, 3, 255])
def test_labels_outside_the_classes_are_refused(tmp_path: Path, bad: int) -> None:
    y = np.array([0, 1, 2, 0, bad, bad])
    path = bare(tmp_path / "a.h5", train__x=X, train__y=y)
    with DataFile(path) as file:
        file.read("train", 0, 4)
        with pytest.raises(DataError) as caught:
            file.read("train", 2)
    text = f"train/y[4] is the label {bad}, but there are 3 classes: expected 0..2."
    assert text in one_paragraph(caught, path)


def test_a_split_or_slab_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = classification(tmp_path / "a.h5")
    with DataFile(path) as file:
        with pytest.raises(DataError) as caught:
            file.count("validation")
        assert "has no split `validation`; it holds train, test." in one_paragraph(caught, path)
        with pytest.raises(DataError, match=r"has no split `tests` \(did you mean 'test'\?\)"):
            file.read("tests")
        for start, stop in ((-1, 2), (3, 2), (0, 7)):
            with pytest.raises(IndexError, match="train holds 6"):
                file.read("train", start, stop)


def test_the_shipped_digits(repository: Path) -> None:
    with DataFile(repository / "data" / "digits.h5") as file:
        assert file.splits == SPLITS and [file.count(split) for split in SPLITS] == [1297, 200, 300]
        assert (file.sample_shape, file.x_dtype, file.scale) == ((8, 8), np.uint8, 1 / 16)
        assert file.classes == tuple("0123456789")
        for split, least in zip(SPLITS, (125, 19, 29), strict=True):
            x, y = file.read(split)
            assert x.max() == 16 and np.bincount(y).min() >= least
