"""Fields of any HDF5 file: where they lie, how they stand, what they are called."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distnn.config.sections import DataSettings
from distnn.data import DataFile
from distnn.data.file.fields import Description, Purpose
from distnn.data.stream import Stream
from distnn.errors import DataError

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(12, 4)).astype("f4")
Y = np.arange(12) % 3
LABELS = {"task": "classification", "classes": ["a", "b", "c"]}


def made(path: Path, attributes: dict[str, Any] | None = None, **datasets: Any) -> Path:
    """A file with these datasets, `__` for a /, and root attributes."""
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes or {})
        for name, values in datasets.items():
            file[name.replace("__", "/")] = values
    return path


def opened(path: Path, **data: Any) -> DataFile:
    settings = DataSettings(path=str(path), **data)
    return DataFile(path, description=settings.description())


def refused(path: Path, **data: Any) -> str:
    with pytest.raises(DataError) as caught, opened(path, **data) as file:
        for split in file.splits:
            file.read(split)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def equal(file: DataFile, x: np.ndarray, y: np.ndarray, split: str = "train") -> None:
    """What is read, whole and a part, and as a stream of blocks."""
    for values, expected in zip(file.read(split), (x, y), strict=True):
        np.testing.assert_array_equal(values, expected)
    stop = min(len(x), 3)
    for values, expected in zip(file.read(split, stop - 1, stop), (x, y), strict=True):
        np.testing.assert_array_equal(values, expected[stop - 1 : stop])


def test_paths_with_the_name_of_the_split(tmp_path: Path) -> None:
    path = made(tmp_path / "a.h5", X_train=X, Y_train=Y, X_val=X[:5], Y_val=Y[:5], X_extra=X)
    with opened(path, x="X_{split}", y="/Y_{split}", task="classification", classes=3) as file:
        assert (file.splits, file.classes, file.task) == (("train", "validation"), ("0", "1", "2"), "classification")
        equal(file, X, Y)
        equal(file, X[:5], Y[:5], "validation")
        assert file.remarks() == ["X_val is taken for validation", "not used: X_extra"]
        with file.again() as again:
            equal(again, X, Y)
        stream = Stream(file, "train")
        stream.close()


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *((name, "validation") for name in ("val", "valid", "dev", "validate")),
        ("training", "train"),
        ("testing", "test"),
        ("Train", "train"),
        ("VAL", "validation"),
    ],
)
def test_splits_by_other_names(tmp_path: Path, name: str, split: str) -> None:
    names = {"train": "train", split: name}
    datasets = {f"{each}__{field}": values for each in names.values() for field, values in (("x", X), ("y", Y))}
    with DataFile(made(tmp_path / "a.h5", LABELS, **datasets)) as file:
        assert set(file.splits) == set(names)
        equal(file, X, Y, split)
        assert file.remarks() == [f"{name} is taken for {split}"]


def test_a_split_by_two_names_is_named_once(tmp_path: Path) -> None:
    path = made(tmp_path / "a.h5", LABELS, train__x=X, train__y=Y, val__x=X, val__y=Y, validation__x=X, validation__y=Y)
    with DataFile(path) as file:
        assert file.splits == ("train", "validation") and file.remarks() == ["not used: val/x, val/y"]


def test_without_splits_all_is_for_training(tmp_path: Path) -> None:
    with opened(made(tmp_path / "a.h5", images=X, labels=Y), x="images", y="labels", **LABELS) as file:
        assert file.splits == ("train",)
        equal(file, X, Y)


IMAGES = RANDOM.integers(0, 99, (12, 9, 8, 2)).astype("i2")


@pytest.mark.parametrize(
    ("stored", "layout"),
    [
        (np.moveaxis(IMAGES, -1, 1), "channels_first"),
        (IMAGES.T, "reversed"),
        (np.moveaxis(IMAGES, 0, -1), "samples_last"),
        (np.moveaxis(IMAGES.T, -1, 0), "reversed_samples"),
        (IMAGES, "channels_last"),
    ],
)
def test_layouts(tmp_path: Path, stored: np.ndarray, layout: str) -> None:
    path = made(tmp_path / "a.h5", LABELS, train__x=stored, train__y=Y)
    with opened(path, x={"layout": layout, "channels": [1, 0]}) as file:
        equal(file, IMAGES[..., [1, 0]], Y)
        assert not file.channels_first


@pytest.mark.parametrize("y", [Y, Y[None], Y[:, None]])
def test_dimensions_in_the_reverse_order(tmp_path: Path, y: np.ndarray) -> None:
    """As MATLAB, Fortran, Julia and R write them: said with the key that settles it, which does."""
    path = made(tmp_path / "a.h5", LABELS, train__x=X.T, train__y=y)
    if y.shape != (12, 1):
        text = refused(path)
        assert "MATLAB, Fortran, Julia and R" in text and 'layout = "reversed"' in text
    with opened(path, x={"layout": "reversed"}, y={"layout": "reversed"} if y.shape == (1, 12) else None) as file:
        equal(file, X, Y)


def test_what_is_the_same_either_way_is_read_as_it_stands(tmp_path: Path) -> None:
    """Images to images, and as many samples as features."""
    for x, y in ((X, X), (X[:4], X[:4]), (X[:1], X[:1])):
        with DataFile(made(tmp_path / "a.h5", {"task": "regression"}, train__x=x, train__y=y)) as file:
            equal(file, x, y)


def test_several_side_by_side(tmp_path: Path) -> None:
    big = np.full(12, 2**60 + 1)
    path = made(tmp_path / "a.h5", train__a=X, train__b=Y.astype("u1"), train__c=big, train__y=Y)
    with opened(path, x={"path": ["{split}/a", "{split}/b"]}, **LABELS) as file:
        assert file.x_dtype == np.float32 and file.remarks() == ["not used: train/c"]
        equal(file, np.column_stack([X, Y]), Y)
    with opened(path, x={"path": ["{split}/a", "{split}/c"]}, **LABELS) as file:
        assert file.x_dtype == np.float64 and "integers of 64 bits" in file.remarks()[0]
    text = refused(made(tmp_path / "b.h5", a=X, b=X[:5], y=Y), x={"path": ["a", "b"]}, y="y", **LABELS)
    assert "b has the shape (5, 4) but a (12, 4)" in text
    with opened(made(tmp_path / "c.h5", a=X[:, 0], y=Y), x="a", y="y", **LABELS) as file:
        equal(file, X[:, :1], Y)  # one feature


TABLE = np.zeros(12, [("id", "i8"), ("height", ">f4"), ("width", "f8"), ("kind", "S4"), ("age", "u2")])
TABLE["height"], TABLE["width"], TABLE["age"] = X[:, 0], X[:, 1], np.arange(12)
TABLE["kind"] = np.array([b"oak", b"elm", b"ash"])[Y]


def test_columns_of_a_table(tmp_path: Path) -> None:
    path = made(tmp_path / "a.h5", trees=TABLE)
    kinds = {"path": "trees", "columns": ["kind"]}
    said = {"task": "classification", "classes": ["oak", "elm", "ash"]}
    with opened(path, x={"path": "trees", "columns": ["age", "height"]}, y=kinds, **said) as file:
        assert (file.names("x"), file.names("y"), file.x_dtype) == (("age", "height"), ("kind",), np.float32)
        equal(file, np.column_stack([np.arange(12), X[:, 0]]), Y)
        assert file.remarks() == ["y holds texts; each is read as the place of its class"]
    text = refused(path, x={"path": "trees", "columns": ["heigth"]}, y=kinds, **said)
    assert "no column 'heigth' (did you mean 'height'?); its columns are id, height, width, kind, age" in text
    text = refused(path, x="trees", y=kinds, **said)
    assert "is a table" in text and 'columns = ["id", "height", "width"]' in text
    assert "the column kind of /trees has the type" in refused(
        path, x={"path": "trees", "columns": ["kind", "age"]}, y=kinds, **said
    )
    with opened(
        path, x={"path": "trees", "columns": ["age"]}, y={"path": "trees", "columns": ["width"]}, task="regression"
    ) as file:
        equal(file, np.arange(12)[:, None], X[:, 1].astype("f8"))
        assert file.target_shape == ()


def test_frames_of_pandas(tmp_path: Path) -> None:
    """In both of its formats, as PyTables stores them: its names are pickled lists."""
    blocks = np.zeros(12, [("index", "i8"), ("values_block_0", "f4", 4), ("values_block_1", "i8", 1)])
    blocks["values_block_0"], blocks["values_block_1"][:, 0] = X, Y
    with h5py.File(tmp_path / "table.h5", "w") as file:
        file.create_group("df").attrs["pandas_type"] = np.bytes_("frame_table")
        file["df/table"] = blocks
        file["df/_i_table/index/bounds"] = np.zeros(3)
        for number, names in enumerate((["p", "q", "r", "s"], ["y"])):
            file["df/table"].attrs[f"values_block_{number}_kind"] = np.bytes_(pickle.dumps(names, 0))
    with h5py.File(tmp_path / "fixed.h5", "w") as file:
        file.create_group("df").attrs["pandas_type"] = np.bytes_("frame")
        for name, values in {
            "axis0": [b"p"],
            "axis1": np.arange(12),
            "block0_values": X,
            "block1_values": Y[:, None],
            "block0_items": [b"p", b"q", b"r", b"s"],
            "block1_items": [b"y"],
        }.items():
            file[f"df/{name}"] = values
    for name in ("table", "fixed"):
        data = {"x": {"path": "df", "columns": ["s", "y", "p"]}, "y": {"path": "df", "columns": ["y"]}}
        with opened(tmp_path / f"{name}.h5", **data, **LABELS) as file:
            equal(file, np.column_stack([X[:, 3], Y, X[:, 0]]), Y)
            assert file.names("x") == ("s", "y", "p") and not [each for each in file.remarks() if "not used" in each]
        assert '{path = "df' in refused(tmp_path / f"{name}.h5", **data | {"x": "df"}, **LABELS)
        assert "did you mean 'p'" in refused(
            tmp_path / f"{name}.h5", **data | {"y": {"path": "df", "columns": ["pp"]}}, **LABELS
        )
    with opened(tmp_path / "fixed.h5", x="df/block0_values", y="df/block1_values", **LABELS) as file:
        equal(file, X, Y)
        assert file.names("x") == ("p", "q", "r", "s")


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    """A pickle that isn't just a list of names gives none."""
    blocks = np.zeros(12, [("values_block_0", "f4", 4)])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["t"], file["y"] = blocks, Y
        file["t"].attrs["values_block_0_kind"] = np.bytes_(b"cos\nsystem\n(S'touch " + bytes(tmp_path) + b"/run'\ntR.")
    with opened(tmp_path / "a.h5", x={"path": "t", "columns": ["values_block_0[2]"]}, y="y", **LABELS) as file:
        assert file.sample_shape == (1,)
    assert not (tmp_path / "run").exists()


def test_netcdf(tmp_path: Path) -> None:
    """Packed values are unpacked; missing ones are NaN; scales of dimensions aren't data."""
    packed = np.arange(48, dtype="i2").reshape(12, 4)
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file.attrs["_NCProperties"] = np.bytes_("version=2")
        file["x"], file["y"], file["sample"] = packed, np.linspace(0, 1, 12), np.arange(12)
        file["x"].attrs.update(
            {"scale_factor": np.array([0.5]), "add_offset": np.array([10.0]), "_FillValue": np.array([-9], "i2")}
        )
        file["y"].attrs["_FillValue"] = np.nan
        file["sample"].make_scale("sample")
    data = {"x": "x", "y": "y", "task": "regression"}
    with opened(tmp_path / "a.nc", **data) as file:
        equal(file, packed * 0.5 + 10, np.linspace(0, 1, 12))
        assert file.remarks() == [
            "x is read as NetCDF packs it: times scale_factor, plus add_offset",
            "where x is -9 (its _FillValue), it is read as missing (NaN)",
        ]
    with h5py.File(tmp_path / "a.nc", "r+") as file:
        file["x"][2, 1] = -9
    assert "train/x[2, 1] is nan" in refused(tmp_path / "a.nc", **data)
    with h5py.File(tmp_path / "a.nc", "r+") as file:
        file["x"][2, 1], file["y"][5] = 0, 9.969209968386869e36
        del file["y"].attrs["_FillValue"]
    assert "train/y[5] is nan" in refused(tmp_path / "a.nc", **data)  # what was never written


def test_matlab(tmp_path: Path) -> None:
    """Version 7.3, which has 512 bytes of its own before HDF5's."""
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["x"], file["y"] = (X > 0).T.astype("u1"), (Y[None] + 0.0)
        file["x"].attrs["MATLAB_class"], file["y"].attrs["MATLAB_class"] = np.bytes_("logical"), np.bytes_("double")
        file["name"] = np.frombuffer("text".encode("utf-16-le"), "u2")[:, None]
        file["name"].attrs["MATLAB_class"] = np.bytes_("char")
        file["cells"] = np.array([file["x"].ref], h5py.ref_dtype)
        file["cells"].attrs["MATLAB_class"] = np.bytes_("cell")
        file["#refs#/a"] = [1.0]
        file.create_group("sparse").attrs["MATLAB_sparse"] = np.uint64(4)
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + path.read_bytes()[512:])
    turned = {"layout": "reversed"}
    data = {"x": {"path": "x", **turned}, "y": {"path": "y", **turned}, **LABELS}
    with opened(path, **data) as file:
        equal(file, X > 0, Y)
        assert (file.scale, file.remarks()[-1]) == (None, "not used: cells, name")
    with h5py.File(path, "r+") as file:
        file["both"] = np.zeros((3, 3))
        file["both"].attrs["MATLAB_class"] = np.bytes_("double")
    with opened(path, x="both", y="both", task="regression") as file:
        assert file.remarks()[0].startswith("both is read as it stands in the file, (3, 3); in MATLAB")
    for name, word in {"name": "text (char)", "cells": "a cell array", "sparse": "a sparse matrix"}.items():
        assert f"is MATLAB's {word}" in refused(path, **data | {"x": name})


@pytest.mark.parametrize(
    ("stored", "data", "remark"),
    [
        (Y[:, None], {}, ""),
        (Y.astype("f8"), {}, "y holds labels as float64; they are read as integers"),
        (np.array(["a", "b", "c"], object)[Y], {}, "y holds texts"),
        (np.array([b"a", b"b ", b"c"])[Y][:, None], {}, "y holds texts"),
        (np.eye(3, dtype="f4")[Y], {"y": {"layout": "one_hot"}}, ""),
        (np.eye(3, dtype="?")[Y], {"y": {"layout": "one_hot"}}, ""),
    ],
)
def test_labels_as_they_are_stored(tmp_path: Path, stored: np.ndarray, data: dict[str, Any], remark: str) -> None:
    with opened(made(tmp_path / "a.h5", LABELS, train__x=X, train__y=stored), **data) as file:
        equal(file, X, Y)
        assert (remark in file.remarks()[0]) if remark else not file.remarks()


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_weights_in_a_column(tmp_path: Path, task: str) -> None:
    weights = np.arange(12.0)
    path = made(tmp_path / "a.h5", LABELS | {"task": task}, train__x=X, train__y=Y, train__w=weights[None])
    with opened(path, weight={"path": "{split}/w", "layout": "reversed"}) as file:
        np.testing.assert_array_equal(file.read_fields("train")["weight"], weights)


@pytest.mark.parametrize(
    "stored", [lambda y: y, lambda y: y[..., None], lambda y: np.eye(3, dtype="u1")[y], lambda y: y + 0.0]
)
def test_labels_of_pixels_as_they_are_stored(tmp_path: Path, stored: Any) -> None:
    x, y = np.zeros((4, 6, 5, 2), "f4"), RANDOM.integers(0, 3, (4, 6, 5))
    path = made(tmp_path / "a.h5", LABELS | {"task": "segmentation"}, train__x=x, train__y=stored(y))
    with opened(path, y={"layout": "one_hot"} if stored(y).shape[-1] == 3 else None) as file:
        equal(file, x, y)


def test_names_of_an_enumeration(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["train/x"] = X
        file.create_dataset("train/y", data=Y, dtype=h5py.enum_dtype({"oak": 0, "elm": 1, "ash": 2}, "i4"))
    with opened(tmp_path / "a.h5", task="classification") as file:
        assert file.classes == ("oak", "elm", "ash")
        equal(file, X, Y)


@pytest.mark.parametrize(
    ("y", "data", "expected"),
    [
        (np.where(Y == 1, 1.5, Y), {}, "train/y[1] is 1.5, but labels for classification are whole numbers"),
        (np.where(Y == 1, np.nan, Y), {}, "train/y[1] is nan"),
        (np.array([b"a", b"b", b"x"])[Y], {}, "train/y[2] is 'x', which is not a class; the classes are a, b, c"),
        (np.eye(3)[Y], {}, 'say so in the run file: data.y = {layout = "one_hot"}'),
        (np.eye(3)[Y] / 2, {"y": {"layout": "one_hot"}}, "train/y[0] is [0.5 0.  0. ], which isn't a one-hot row"),
        (np.eye(4)[Y], {"y": {"layout": "one_hot"}}, "one-hot rows of 3 classes are numbers of the shape (N, …, 3)"),
    ],
)
def test_bad_labels_are_named(tmp_path: Path, y: np.ndarray, data: dict[str, Any], expected: str) -> None:
    assert expected in refused(made(tmp_path / "a.h5", LABELS, train__x=X, train__y=y), **data)


def test_what_the_run_file_says_counts_and_is_told(tmp_path: Path) -> None:
    path = made(tmp_path / "a.h5", LABELS, train__x=X, train__y=Y)
    with opened(path, task="regression") as file:
        assert file.task == "regression"
        assert file.remarks() == ['data.task = "regression" is used, and not the attribute task = "classification"']
    with opened(path, classes=["x", "y", "z"]) as file:
        assert file.classes == ("x", "y", "z") and "lists a, b, c" in file.remarks()[0]
    with opened(path, classes=3, task="classification") as file:
        assert file.classes == ("a", "b", "c") and not file.remarks()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            {"x": "imges", "y": "labels"},
            "has no dataset `imges` (did you mean 'images'?); it has images, labels, more/z",
        ),
        ({"x": "images", "y": "more"}, "more is a group, which holds z; name a dataset"),
        ({"x": "images", "y": "labels", "weight": "w"}, "has no dataset `w`"),
        ({"x": {"path": "images", "channels": [4]}, "y": "labels"}, "x has no channel 4: its shape is (12, 4)"),
        ({"x": {"path": "images", "columns": ["a"]}, "y": "labels"}, "nothing says what its columns are called"),
        ({"x": "x_{split}", "y": "y_{split}"}, "there is nothing at x_train, y_train"),
        ({}, "has no group `train`"),
    ],
)
def test_what_is_not_there_names_the_nearest(tmp_path: Path, data: dict[str, Any], expected: str) -> None:
    path = made(tmp_path / "a.h5", LABELS, images=X, labels=Y, more__z=X)
    assert expected in refused(path, **data)


def test_named_places(tmp_path: Path) -> None:
    path = made(tmp_path / "a.h5", LABELS, train__x=X, train__y=Y)
    with h5py.File(path, "r+") as file:
        file["train/x"].attrs["names"] = ["p", "q", "r", "s"]
    with DataFile(path) as file:
        assert (file.names("x"), file.names("y")) == (("p", "q", "r", "s"), ())
    with opened(path, x={"columns": ["s", "p"]}) as file:
        equal(file, X[:, [3, 0]], Y)
        assert file.names("x") == ("s", "p")


def test_joined_files(tmp_path: Path) -> None:
    for number, (start, stop) in enumerate(((0, 5), (5, 12))):
        with h5py.File(made(tmp_path / f"{number}.h5", images=X[start:stop].T, labels=Y[start:stop]), "r+") as file:
            file["labels"].attrs["names"] = ["kind"]
    with opened(tmp_path / "?.h5", x={"path": "images", "layout": "reversed"}, y="labels", **LABELS) as file:
        equal(file, X, Y)
        facts = {"task", "classes", "scale", "names of x", "names of y", "train/x", "train/y"}
        assert file.count("train") == 12 and file.identity().keys() == facts
        assert (file.names("x"), file.names("y")) == ((), ("kind",))


def test_columns_in_another_order_in_another_split(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["task"] = "regression"
        for split, names in (("train", ["a", "b"]), ("validation", ["b", "a"])):
            file[f"{split}/x"], file[f"{split}/y"] = np.zeros((3, 2)), np.zeros(3)
            file[f"{split}/x"].attrs["names"] = names
    with pytest.raises(DataError, match="validation/x has the columns b, a, but train/x a, b"):
        DataFile(tmp_path / "a.h5")


def test_enumerations_with_other_numbers(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["task"] = "classification"
        for split, names in (("train", ["cat", "dog"]), ("validation", ["dog", "cat"])):
            kind = h5py.enum_dtype({name: place for place, name in enumerate(names)}, "i1")
            file[f"{split}/x"] = np.zeros((3, 2))
            file.create_dataset(f"{split}/y", data=np.array([0, 1, 1], "i1"), dtype=kind)
    with pytest.raises(DataError, match="validation/y has the type of an enumeration of dog, cat, but train/y has cat"):
        DataFile(tmp_path / "a.h5")
    use = Description(purpose=Purpose("validation", True, "classification", ("cat", "dog"), ()))
    with DataFile(tmp_path / "a.h5", description=use) as file:
        assert file.classes == ("cat", "dog") and file.read("validation")[1].tolist() == [1, 0, 0]
