"""Writing data files: whole or not at all, and only what a data file may hold."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distnn.data import DataFile, write_data
from distnn.errors import DataError
from tests.support.files import X, Y, classification


def test_thousands_of_class_names_fit(tmp_path: Path) -> None:
    names = [f"species {number}" for number in range(20_000)]
    with DataFile(classification(tmp_path / "a.h5", classes=names)) as file:
        assert file.classes == tuple(names)


def test_a_file_that_is_there_is_kept_unless_forced(tmp_path: Path) -> None:
    path = classification(tmp_path / "a.h5")
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"already exists and was left as it is; .* with --force"):
        classification(path)
    with pytest.raises(DataError, match="the label 2, but there are 2 classes"):
        classification(path, classes=["ant", "bee"], force=True)
    assert path.read_bytes() == before
    classification(path, splits={"train": (X * 2, Y)}, force=True)
    with DataFile(path) as file:
        np.testing.assert_array_equal(file.read("train")[0], X * 2)
    assert os.listdir(tmp_path) == ["a.h5"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"splits": {"test": (X, Y)}}, "has no group `train`"),
        ({"splits": {"train": (X, Y), "tset": (X, Y)}}, r"unknown split 'tset' \(did you mean 'test'\?\)"),
        ({"splits": {"train": (X, Y[:3])}}, r"train/x holds 6 samples but train/y has the shape \(3,\)"),
        ({"splits": {"train": (X * np.nan, Y)}}, r"train/x\[0, 0\] is nan"),
        ({"splits": {"train": (X.tolist(), ["a"] * 6)}}, "train/y has the type <U1"),
        ({"splits": {"train": (X, Y), "test": (X.astype(int), Y)}}, "test/x has the type int64"),
        ({"classes": ["ant", "b\0e", "cat"]}, r"the name 'b\\x00e' holds a character"),
        ({"names": {"y": ["\ud800"]}}, r"the name '\\ud800' holds a character"),
        ({"task": "clustering"}, "unknown task 'clustering'"),
        ({"classes": ()}, "names no classes"),
        ({"splits": {"train": {"x": X, "y": Y, "wieght": Y}}}, "unknown field `train/wieght`"),
        ({"splits": {"train": {"x": X}}}, "train lacks y; found x"),
        ({"names": {"x": ["a", "b"]}}, "2 names for the 4 places of the last axis of x"),
        ({"names": {"y": ["a", "b"]}}, "2 names for the 1 places of the last axis of y"),
        ({"names": {"z": ["a"]}}, r"names of `z`; expected names of x or of y"),
        ({"scale": 0}, "the attribute `scale` of x is 0; expected one positive number"),
    ],
)
def test_arrays_that_make_no_data_file_leave_nothing(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        classification(tmp_path / "a.h5", **change)
    assert os.listdir(tmp_path) == []


def test_a_path_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder, but a file is to be written there"):
        classification(tmp_path)
    with pytest.raises(DataError, match=r"there is no folder .*/none; create it first \(mkdir -p"):
        classification(tmp_path / "none" / "a.h5")


def test_large_arrays_are_copied_in_slabs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distnn.data.file.writing.SLAB_BYTES", 100)
    monkeypatch.setattr("distnn.data.file.sealed.CHUNK_BYTES", 70)
    x, y = np.random.default_rng(0).normal(size=(53, 3)), np.arange(53) % 3
    with DataFile(classification(tmp_path / "a.h5", splits={"train": (x, y)})) as file:
        np.testing.assert_array_equal(file.read("train")[0], x)
        with DataFile(classification(tmp_path / "b.h5", splits={"train": tuple(file._data["train"].values())})) as copy:
            np.testing.assert_array_equal(copy.read("train")[1], y)
    y[40] = 9
    with pytest.raises(DataError, match=r"train/y\[40\] is the label 9"):
        classification(tmp_path / "c.h5", splits={"train": (x, y)})


FULL_DISK = f"""
import resource, numpy as np
from distnn.data import write_data
from distnn.errors import DataError
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, {resource.RLIM_INFINITY}))
try:
    write_data("a.h5", {{"train": (np.ones((9000, 1000), np.float32), np.zeros(9000))}}, task="regression", force=True)
except DataError as error:
    print(error)
"""


def test_a_full_disk_is_an_error_and_no_crash(tmp_path: Path) -> None:
    """In a process of its own: HDF5 by itself crashes here (h5py issue 914)."""
    (tmp_path / "a.h5").write_text("the old file")
    done = subprocess.run([sys.executable, "-c", FULL_DISK], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "a.h5 could not be written: File too large. Nothing was changed" in done.stdout
    assert os.listdir(tmp_path) == ["a.h5"] and (tmp_path / "a.h5").read_text() == "the old file"


def test_files_that_differ_in_the_names_of_features_alone_are_others(tmp_path: Path) -> None:
    """Ranks compare their identities before they train together."""
    found = []
    for names in (["a", "b"], ["b", "a"]):
        path = tmp_path / f"{names[0]}.h5"
        splits = {"train": (np.ones((4, 2)), np.arange(4.0))}
        with DataFile(write_data(path, splits, task="regression", names={"x": names})) as file:
            found.append(file.identity())
    assert [each["names of x"] for each in found] == [["a", "b"], ["b", "a"]]
    assert found[0]["train/x"] == found[1]["train/x"]
