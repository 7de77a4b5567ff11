"""Several files as one data set, virtual data sets, and compressed files."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest

from distnn import checkpoint
from distnn.data import DataFile, write_data
from distnn.data.file.fields import Description, Location
from distnn.data.stream import Stream
from distnn.errors import DataError
from tests.support.runs import DIGITS, distnn, run_file, saved


def pieces(folder: Path, *edges: int) -> Path:
    """The digits' training samples in several files, the first with all the other splits; the pattern for them."""
    with DataFile(DIGITS) as file:
        for number, (start, stop) in enumerate(pairwise(edges)):
            splits = {split: file.read(split) for split in file.splits if split != "train" and number == 0}
            splits["train"] = file.read("train", start, stop)
            name = folder / f"part-{number}.h5"
            write_data(name, splits, task=file.task, classes=file.classes, scale=file.scale)
    return folder / "part-*.h5"


def test_files_that_a_pattern_names_are_one(tmp_path: Path) -> None:
    with DataFile(pieces(tmp_path, 0, 500, 501, 1297)) as joined, DataFile(DIGITS) as whole:
        assert joined.splits == whole.splits
        assert (joined.count("train"), joined.bytes("train")) == (whole.count("train"), whole.bytes("train"))
        for split in whole.splits:
            for a, b in zip(joined.read(split), whole.read(split), strict=True):
                np.testing.assert_array_equal(a, b)
        stream = Stream(joined, "train")
        x, y = np.empty((1297, 8, 8), np.float32), np.empty(1297, int)
        stream.fill(type(stream._piece)(0, 1297), {"x": x, "y": y})
        stream.close()
        np.testing.assert_array_equal(y, whole.read("train")[1])


@pytest.mark.parametrize("where", ["true", "false"])
def test_a_training_on_several_files_is_that_on_one(where: str, tmp_path: Path) -> None:
    pattern = pieces(tmp_path, 0, 300, 900, 1297)
    for name, path in (("one", DIGITS), ("several", pattern)):
        run = run_file(tmp_path / f"{name}.toml", data={"path": str(path)}, train={"epochs": 1})
        done = distnn("train", run, "--out", tmp_path / name, "--set", f"data.in_memory={where}")
        assert done.returncode == 0, done.stderr
    assert checkpoint.digest(saved(tmp_path / "one")) == checkpoint.digest(saved(tmp_path / "several"))


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    pattern = pieces(tmp_path, 0, 10)
    write_data(tmp_path / "part-9.h5", {"train": (np.zeros((3, 8, 8), np.uint8), np.zeros(3))}, task="regression")
    with pytest.raises(DataError, match=r"part-9\.h5 has task regression, but .*part-0\.h5 has classification; files"):
        DataFile(pattern)


def test_a_pattern_that_names_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No file matches the pattern .*nothing-\*\.h5 \(looked in /.*\); check it"):
        DataFile(tmp_path / "nothing-*.h5")


def test_a_virtual_data_set(tmp_path: Path) -> None:
    pieces(tmp_path, 0, 500, 1297)
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        with h5py.File(tmp_path / "part-0.h5") as first:
            file.attrs.update(first.attrs)
        for name, shape in (("x", (1297, 8, 8)), ("y", (1297,))):
            layout = h5py.VirtualLayout(shape, np.uint8 if name == "x" else np.int64)
            sources = [
                h5py.VirtualSource(tmp_path / f"part-{part}.h5", f"train/{name}", (count, *shape[1:]))
                for part, count in ((0, 500), (1, 797))
            ]
            layout[:500], layout[500:] = sources
            file.create_virtual_dataset(f"train/{name}", layout)
            if name == "x":
                file["train/x"].attrs["scale"] = 1 / 16
    with DataFile(tmp_path / "virtual.h5") as virtual, DataFile(DIGITS) as whole:
        for a, b in zip(virtual.read("train"), whole.read("train"), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("compression", ["gzip", "lzf"])
def test_compressed_files(compression: str, tmp_path: Path) -> None:
    with DataFile(DIGITS) as whole:
        x, y = whole.read("train")
        write_data(tmp_path / "d.h5", {"train": (x, y)}, task=whole.task, classes=whole.classes, scale=whole.scale)
    with h5py.File(tmp_path / "d.h5", "r+") as raw:
        del raw["train/x"]
        raw.create_dataset("train/x", data=x, chunks=(100, 8, 8), compression=compression, shuffle=True)
    with DataFile(tmp_path / "d.h5") as file:
        np.testing.assert_array_equal(file.read("train")[0], x)
        assert file.chunk("train") == 100


def unknown_filter(path: Path) -> None:
    """A data file whose samples are said to have gone through Zstandard, HDF5's filter 32015."""
    x, y = np.zeros((100, 4), np.float32), np.zeros(100)
    write_data(path, {"train": (x, y)}, task="regression")
    with h5py.File(path, "r+") as raw:
        del raw["train/x"]
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((100, 4))
        properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
        space, kind = h5py.h5s.create_simple((100, 4)), h5py.h5t.py_create(x.dtype)
        dataset = h5py.h5d.create(raw["train"].id, b"x", kind, space, properties)
        dataset.write_direct_chunk((0, 0), b"compressed", 0)


def test_a_filter_that_is_missing_is_named(tmp_path: Path) -> None:
    unknown_filter(tmp_path / "d.h5")
    script = (
        "import sys; sys.modules['hdf5plugin'] = None\n"
        "from distnn.data import DataFile\n"
        f"DataFile({str(tmp_path / 'd.h5')!r}).read('train')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (
        "d.h5: samples 0..100 of train can't be read, because they are compressed by HDF5's filter 32015, which"
        in done.stderr
    )
    assert "Install the filters (pip install hdf5plugin), or write the file again with gzip" in done.stderr


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    unknown_filter(tmp_path / "b.h5")
    write_data(tmp_path / "a.h5", {"train": (np.zeros((9, 4), np.float32), np.zeros(9))}, task="regression")
    with (
        DataFile(tmp_path / "*.h5") as file,
        pytest.raises(DataError, match=r"b\.h5.* samples 0\.\.91 of train"),
    ):
        file.read("train", 0, 100)


def plain(path: Path, y: np.ndarray, names: list[str] | None = None) -> None:
    """A file of samples that are in no split."""
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(2.0 * len(y)).reshape(-1, 2)
        file["y"] = y
        if names:
            file["x"].attrs["names"] = names


AT_THE_TOP = Description(given={name: Location((name,)) for name in "xy"}, task="regression")


def test_targets_of_another_type_in_another_file_are_not_cut_off(tmp_path: Path) -> None:
    parts = [np.array([1, -128], "i1"), np.array([300, 70000], ">i4"), np.array([5], "i8")]
    for number, y in enumerate(parts):
        plain(tmp_path / f"{number}.h5", y)
    with DataFile(tmp_path / "*.h5", description=AT_THE_TOP) as file:
        assert file.read("train")[1].tolist() == [1, -128, 300, 70000, 5]
        file.again().close()  # opens all of them anew
        (tmp_path / "0.h5").unlink()
        plain(tmp_path / "0.h5", np.array([1.5, 2.5]))
        with pytest.raises(DataError, match=r"0\.h5: train/y has the type float64, which int64, .*, doesn't hold"):
            file.read("train")
    with pytest.raises(DataError, match=r"1\.h5 has y of the type int32, but files before it have float64"):
        DataFile(tmp_path / "*.h5", description=AT_THE_TOP)


def test_columns_in_another_order_in_another_file(tmp_path: Path) -> None:
    plain(tmp_path / "0.h5", np.zeros(3), ["a", "b"])
    plain(tmp_path / "1.h5", np.zeros(3), ["b", "a"])
    with pytest.raises(DataError, match=r"1\.h5 has the columns b, a in x, but .*0\.h5 has a, b"):
        DataFile(tmp_path / "*.h5", description=AT_THE_TOP)
    columns = replace(AT_THE_TOP, given={**AT_THE_TOP.given, "x": Location(("x",), columns=("b", "a"))})
    with DataFile(tmp_path / "*.h5", description=columns) as file:
        assert file.read("train")[0][[0, 3]].tolist() == [[1, 0], [0, 1]]


def test_no_file_is_in_two_splits_or_there_twice(tmp_path: Path) -> None:
    plain(tmp_path / "device-train.h5", np.zeros(3))  # has the names of two splits: dev and train
    with pytest.raises(DataError, match=r"device-train\.h5 is for train and for validation"):
        DataFile(tmp_path / "*{split}*.h5", description=AT_THE_TOP)
    (tmp_path / "train").mkdir()
    (tmp_path / "val").mkdir()
    with pytest.raises(DataError, match=r"device-train\.h5 is for train and for validation"):
        DataFile(tmp_path / "{split}" / ".." / "*.h5", description=AT_THE_TOP)
    with DataFile(tmp_path / "**" / "**" / "*.h5", description=AT_THE_TOP) as file:
        assert file.count("train") == 3
