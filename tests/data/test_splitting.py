"""Data files whose samples are cut into splits: each split has the samples that it should, from whatever files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distnn.data import DataFile, write_data
from distnn.data.cutting import Cut
from distnn.data.file.fields import Description, Location
from distnn.data.partition import Range
from distnn.data.stream import Stream
from distnn.errors import DataError

N = 60
X = np.arange(3 * N, dtype=np.float32).reshape(N, 3)
Y = np.arange(N) % 3
ROOT = {"x": Location(("x",)), "y": Location(("y",))}


def whole(folder: Path, **datasets: Any) -> Path:
    """A file with x and y, and no splits."""
    with h5py.File(folder / "whole.h5", "w") as file:
        for name, values in ({"x": X, "y": Y} | datasets).items():
            file.create_dataset(name, data=values, chunks=(7, *np.shape(values)[1:]), compression="gzip")
    return folder / "whole.h5"


def opened(path: Path, cut: Cut, task: str = "classification", given: Mapping[str, Location] = ROOT) -> DataFile:
    return DataFile(path, description=Description(given, task, 3 if task == "classification" else None, cut=cut))


def check(file: DataFile, parts: Mapping[str, np.ndarray]) -> None:
    """Each split holds the samples with these numbers, also opened again, and read as a stream."""
    assert file.splits == tuple(split for split in ("train", "validation", "test") if split in parts)
    again = file.again()
    for split, numbers in parts.items():
        assert file.count(split) == len(numbers)
        for each in (file, again):
            x, y = each.read(split, 1, len(numbers) - 1)
            np.testing.assert_array_equal(x, X[numbers[1:-1]])
            np.testing.assert_array_equal(y, Y[numbers[1:-1]])
        stream = Stream(file, split)
        arrays = {"x": np.empty((len(numbers), 3), np.float32), "y": np.empty(len(numbers), int)}
        stream.fill(Range(0, len(numbers)), arrays)
        np.testing.assert_array_equal(arrays["x"], X[numbers])
        stream.close()
    again.close()


@pytest.mark.parametrize("cut", [Cut(0.1, 0.2, 3), Cut(test=13), Cut(0.5, 5, 1, stratify=True)], ids=str)
def test_a_whole_file(cut: Cut, tmp_path: Path) -> None:
    with opened(whole(tmp_path), cut) as file:
        parts = cut.by_class("", Y, "012") if cut.stratify else cut.at_random("", N)
        check(file, parts)
        assert file.identity()["classes"] == ["0", "1", "2"] and file.remarks() == []
        with opened(file.path, cut) as other, opened(file.path, Cut(0.1, 0.2, 4)) as third:
            assert other.identity() == file.identity() != third.identity()


def test_what_has_a_test_of_its_own(tmp_path: Path) -> None:
    path = write_data(
        tmp_path / "d.h5", {"train": (X, Y), "test": (X[:5], Y[:5])}, task="classification", classes=list("abc")
    )
    cut = Cut(0.2)
    with DataFile(path, description=Description(cut=cut)) as file:
        check(file, {**cut.at_random("", N), "test": np.arange(5)})
    with pytest.raises(DataError, match=r"d\.h5 has samples for test of its own, and data.split.test would cut off"):
        DataFile(path, description=Description(cut=Cut(test=0.2)))


@pytest.mark.parametrize("kind", [int, bytes])
def test_groups(kind: type, tmp_path: Path) -> None:
    groups = np.random.default_rng(0).integers(0, 12, N)
    stored = groups if kind is int else np.array([f"patient {each}" for each in groups], h5py.string_dtype())
    cut = Cut(0.2, 0.2, group="id")
    parts = cut.by_group("", groups if kind is int else stored.astype("S"), N)
    with opened(whole(tmp_path, id=stored), cut) as file:
        check(file, parts)
        assert file.remarks() == []
    with pytest.raises(DataError, match=r"whole.h5 has no dataset `ids` \(did you mean 'id'\?\)") as caught:
        opened(tmp_path / "whole.h5", Cut(0.2, group="ids"))
    assert caught.value.keys == ("data", "split", "group")
    with pytest.raises(DataError, match=r"data.split.group = 'id' has the shape \(59,\); expected \(60,\)") as caught:
        opened(whole(tmp_path, id=groups[1:]), cut)
    assert caught.value.keys == ("data", "split")


def shards(folder: Path, edges: list[int], names: str = "abcdefgh", **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, start, stop in zip(names, edges, edges[1:], strict=False):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["x"], file["y"] = X[start:stop], Y[start:stop]
            file.update({key: values[start:stop] for key, values in more.items()})
    return folder / "*.h5"


def test_files_in_lists(tmp_path: Path) -> None:
    pattern = shards(tmp_path, [0, 10, 15, 40, N])
    with opened(pattern, Cut(files={"validation": ["b.h5"], "train": ["[ad].h5", "c*"]})) as file:
        check(file, {"train": np.r_[0:10, 15:60], "validation": np.arange(10, 15)})
    with pytest.raises(DataError, match="a.h5 is a single file, but .* lists files; give data.path as a pattern"):
        opened(tmp_path / "a.h5", Cut(files={"test": ["b.h5"]}))


def test_a_cut_of_many_files_is_that_of_one(tmp_path: Path) -> None:
    groups = np.random.default_rng(0).integers(0, 12, N)
    pattern = shards(tmp_path / "s", [0, 10, 11, 40, N], id=groups)
    path = whole(tmp_path, id=groups)
    for cut in (Cut(0.3, 0.1), Cut(9, stratify=True), Cut(0.2, 0.1, group="id")):
        with opened(path, cut) as one, opened(pattern, cut) as many:
            check(many, {split: one._numbers[split] for split in one.splits})


def test_folders_by_split(tmp_path: Path) -> None:
    shards(tmp_path / "train", [0, 20, 30])
    shards(tmp_path / "val", [30, 40, 41])
    description = Description(ROOT, "classification", 3)
    with DataFile(tmp_path / "{split}" / "*.h5", description=description) as file:
        check(file, {"train": np.arange(30), "validation": np.arange(30, 41)})
        cut = Cut(test=0.2)
        train = cut.at_random("", 30)
        with opened(file.path, cut) as parts:
            check(parts, {"train": train["train"], "validation": np.arange(30, 41), "test": train["test"]})
    write_data(
        tmp_path / "train" / "z.h5", {"train": (X, Y), "test": (X, Y)}, task="classification", classes=list("abc")
    )
    with pytest.raises(DataError, match=r"z\.h5 has the splits train and test of its own, but by data.path, each"):
        DataFile(tmp_path / "{split}" / "z.h5")
    with pytest.raises(DataError, match=r"No file matches the pattern .*/train/q\*\.h5"):
        DataFile(tmp_path / "{split}" / "q*.h5")


def test_what_can_not_be_cut_by_class(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is for regression, which has no class for each sample; leave out") as caught:
        opened(whole(tmp_path), Cut(0.1, stratify=True), "regression")
    assert caught.value.keys == ("data", "split")


def test_a_bad_value_is_named_where_it_is_in_the_file(tmp_path: Path) -> None:
    cut, x = Cut(0.1, 0.2), X.copy()
    row = int(cut.at_random("", N)["test"][4])
    x[row, 1] = np.nan
    with (
        opened(whole(tmp_path, x=x), cut) as file,
        pytest.raises(DataError, match=rf"whole.h5: train/x\[{row}, 1\] is nan"),
    ):
        file.read("test")
    with h5py.File(str(shards(tmp_path / "s", [0, 25, N])).replace("*", "b"), "r+") as raw:
        raw["x"][3, 2] = np.inf
    message = r"b\.h5: train/x\[3, 2\] is inf"
    with opened(tmp_path / "s" / "*.h5", Cut(0.1)) as file, pytest.raises(DataError, match=message):
        [file.read(split) for split in file.splits]
