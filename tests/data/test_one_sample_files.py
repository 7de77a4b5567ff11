"""Data sets of which each file is one sample."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distnn.data import DataFile
from distnn.data.cutting import Cut
from distnn.data.file import reading
from distnn.data.file.fields import Description, Location
from distnn.data.file.index import NAME
from distnn.data.file.many import MOST_OPEN
from distnn.data.partition import Range
from distnn.data.stream import Stream
from distnn.errors import DataError

N = 100
X = np.random.default_rng(0).normal(size=(N, 4, 6, 2)).astype(np.float32)
LABELS = np.arange(N) % 3


def files(folder: Path, start: int, stop: int) -> None:
    folder.mkdir()
    for k in range(start, stop):
        with h5py.File(folder / f"{k:03}.h5", "w") as file:
            file["climate/data"] = X[k]
            file["climate/first"] = X[k].transpose(2, 0, 1)
            file["climate/matlab"] = X[k].transpose(2, 1, 0)
            file.create_dataset("climate/packed", data=X[k], chunks=(4, 3, 1), compression="gzip", fletcher32=True)
            file["label"], file["means"] = LABELS[k], X[k].mean((0, 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("climate")
    files(path / "train", 0, 80)
    files(path / "test", 80, N)
    return path


def description(x: str = "climate/data", y: str = "label", layout: str | None = None, cut: Cut | None = None) -> Any:
    given = {"x": Location((x,), layout=layout), "y": Location((y,))}
    task = "classification" if y == "label" else "regression"
    return Description(given, task, 3 if y == "label" else None, one_sample_files=True, cut=cut)


@pytest.mark.parametrize(
    ("x", "layout"),
    [("data", None), ("first", "channels_first"), ("matlab", "reversed"), ("packed", None)],
)
def test_they_are_samples(x: str, layout: str | None, folder: Path) -> None:
    with DataFile(folder / "{split}" / "*.h5", description=description(f"climate/{x}", layout=layout)) as file:
        assert (file.splits, file.count("train"), file.count("test")) == (("train", "test"), 80, 20)
        assert (file.sample_shape, file.target_shape, file.x_dtype) == (X.shape[1:], (), np.float32)
        for split, first in (("train", 0), ("test", 80)):
            samples, labels = file.read(split, 3, 15)
            np.testing.assert_array_equal(samples, X[first + 3 : first + 15])
            np.testing.assert_array_equal(labels, LABELS[first + 3 : first + 15])


def test_vectors_and_images_as_targets(folder: Path) -> None:
    with DataFile(folder / "train" / "*.h5", description=description(y="means")) as file:
        np.testing.assert_array_equal(file.read("train")[1], X[:80].mean((1, 2)))
    with DataFile(folder / "train" / "*.h5", description=description("means", y="climate/data")) as file:
        assert (file.sample_shape, file.target_shape) == ((2,), X.shape[1:])
    with DataFile(folder / "train" / "007.h5", description=description()) as file:  # a single one
        np.testing.assert_array_equal(file.read("train")[0], X[7:8])


def open_files(folder: Path) -> int:
    links = [Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd")]
    return sum(os.path.realpath(link).startswith(str(folder.resolve())) for link in links)


def test_few_are_open_at_a_time(folder: Path) -> None:
    most, cut = 0, Cut(0.2, 10, stratify=True)
    with DataFile(folder / "t*" / "*.h5", description=description(cut=cut)) as file:
        parts = cut.by_class("", np.roll(LABELS, 20), "012")  # test stands before train
        names = np.roll(np.arange(N), 20)
        count = len(parts["train"])
        assert [*map(file.count, file.splits)] == [count, 20, 10]
        stream = Stream(file, "train")
        arrays = {"x": np.empty((count, *X.shape[1:]), np.float32), "y": np.empty(count, int)}
        stream.fill(Range(0, count), arrays)
        for split in file.splits:
            np.testing.assert_array_equal(file.read(split)[0], X[names[parts[split]]])
            most = max(most, open_files(folder))
        np.testing.assert_array_equal(arrays["x"], X[names[parts["train"]]])
        stream.close()
    assert 10 < most <= MOST_OPEN and open_files(folder) == 0


def test_two_data_sets_are_told_apart_by_their_index(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    with (
        DataFile(folder / "train" / "*.h5", description=description()) as file,
        DataFile(copy / "train" / "*.h5", description=description()) as same,
    ):
        assert same.identity() == file.identity() and same.stamps != file.stamps
    (copy / "train" / "041.h5").rename(copy / "train" / "041a.h5")
    with DataFile(copy / "train" / "*.h5", description=description()) as renamed:
        assert renamed.identity()["train/y"] != file.identity()["train/y"]


def test_one_that_is_not_like_the_others(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder / "test", tmp_path / "copy"))
    with h5py.File(copy / "091.h5", "r+") as file:
        del file["climate/data"]
        file["climate/data"] = X[0, 1:]
    message = r"091\.h5 has climate/data \(3, 6, 2\) float32, but .*080\.h5 has climate/data \(4, 6, 2\) float32; each"
    for _ in range(2):  # from the files, and from their index
        with pytest.raises(DataError, match=message):
            DataFile(copy / "*.h5", description=description())
        assert (copy / NAME).exists()
    with pytest.raises(DataError, match=r"080\.h5 has no dataset `climate/date` \(did you mean 'climate/data'\?\)"):
        DataFile(copy / "*.h5", description=description("climate/date"))
    with h5py.File(copy / "092.h5", "r+") as file:
        del file["label"]
    with pytest.raises(DataError, match=r"092\.h5 has no dataset label, but .*080\.h5 has label \(\) int64"):
        DataFile(copy / "08[0-9].h5", description=description()).close()
        DataFile(copy / "0[89][02].h5", description=description())


def test_a_file_that_changes_after_it_was_indexed(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder / "test", tmp_path / "copy"))
    with DataFile(copy / "*.h5", description=description()) as file:
        with h5py.File(copy / "091.h5", "w") as raw:
            raw["climate/data"], raw["label"] = X[0, :, 1:], 1
        with pytest.raises(DataError, match=r"091\.h5 has sample_shape \(4, 5, 2\), but .*080\.h5 has \(4, 6, 2\)"):
            file.read("train")
        (copy / "091.h5").write_bytes(b"no HDF5")
        with pytest.raises(DataError, match=r"091\.h5 \(7 bytes\) can't be read as HDF5"):
            file.read("train")
        with h5py.File(copy / "093.h5", "r+") as raw:
            raw["climate/data"][0, 1, 1] = np.nan
        with pytest.raises(DataError, match=r"093\.h5: train/x\[0, 0, 1, 1\] is nan"):
            file.read("train", 12, 20)
        np.testing.assert_array_equal(file.read("train", 14, 20)[0], X[94:])


def test_to_tell_a_data_set_from_others_few_files_are_opened(folder: Path) -> None:
    with DataFile(folder / "t*" / "*.h5", description=description()) as file:
        opened, real = [], file._many.files._opened
        file._many.files._opened = lambda path: (opened.append(path), real(path))[1]
        file._many.files.close()
        assert "train/x" in file.identity() and 0 < len(opened) <= 16


def marked(path: Path, k: int, change: Callable[[h5py.File], object] = lambda file: None) -> None:
    """A file as NetCDF has it: with attributes, and references between its dimensions and their scales."""
    with h5py.File(path, "w") as file:
        x = file.create_dataset("climate/data", data=X[k])
        x.attrs.update({"units": "K", "shift": np.float32(1), "list": ["a", "b"]})
        file["climate/scale"] = np.arange(6.0)
        file["climate/scale"].make_scale("lon")
        x.dims[1].attach_scale(file["climate/scale"])
        file["label"], file.attrs["source"] = LABELS[k], "a model"
        change(file)


def moved(file: h5py.File) -> None:
    file.move("climate/data", "elsewhere")
    file["climate/data"] = h5py.SoftLink("/elsewhere")


def packed(file: h5py.File) -> None:
    file["climate/data"].attrs["scale_factor"] = np.float32(2)


def outside(file: h5py.File) -> None:
    (Path(file.filename).parents[1] / "other.h5").write_bytes(Path(file.filename).with_name("00.h5").read_bytes())
    del file["label"]
    file["label"] = h5py.ExternalLink("../other.h5", "label")


def raw(file: h5py.File) -> None:
    del file["climate/data"]
    place = Path(file.filename).parents[1] / "raw"
    place.write_bytes(X[0].tobytes())
    file.create_dataset("climate/data", X[0].shape, X.dtype, external=[(str(place), 0, X[0].nbytes)])


def unfinished(file: h5py.File) -> None:
    del file["climate/data"]
    file.create_dataset("climate/data", X[0].shape, X.dtype)


def test_those_like_the_first_are_not_looked_at_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(12):
        marked(tmp_path / f"{k:02}.h5", k)
    looked: list[Path] = []
    real = reading.structure

    def watched(path: Path, *args: Any, **options: Any) -> Any:
        looked.append(path)
        return real(path, *args, **options)

    monkeypatch.setattr(reading, "structure", watched)
    with DataFile(tmp_path / "*.h5", description=description()) as file:
        samples, labels = file.read("train")
    np.testing.assert_array_equal(samples, X[:12])
    np.testing.assert_array_equal(labels, LABELS[:12])
    assert {path.name for path in looked} == {"00.h5"} and len(looked) == 2


@pytest.mark.parametrize("change", [moved, packed, outside, raw, unfinished])
def test_one_that_means_something_else_is_looked_at(change: Callable[[h5py.File], object], tmp_path: Path) -> None:
    """What it is then, or is refused for, is as if it had been opened alone."""
    folder = tmp_path / "files"
    folder.mkdir()
    for k in range(3):
        marked(folder / f"{k:02}.h5", k, change if k == 1 else lambda file: None)
    try:
        with DataFile(folder / "01.h5", description=description()) as alone:
            expected: Any = alone.read("train")[0]
    except DataError as error:
        expected = str(error)
    shutil.copy(folder / "00.h5", folder / "03.h5")
    shutil.move(folder / "01.h5", folder / "02a.h5")
    shutil.copy(folder / "00.h5", folder / "01.h5")
    found: list[Any] = []
    try:
        with DataFile(folder / "*.h5", description=description()) as file:
            found += [file.read("train", 2, 3)[0], file.read("train", 3, 4)[0]]
    except DataError as error:
        found.append(str(error).removeprefix(f"{folder / '*.h5'}: "))
    if isinstance(expected, str):
        assert found == [expected.replace("01.h5", "02a.h5")]
    else:
        np.testing.assert_array_equal(found[0], X[2:3])
        np.testing.assert_array_equal(found[1], expected)


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    for k in range(3):
        marked(tmp_path / f"{k:02}.h5", k)
    with DataFile(tmp_path / "*.h5", description=description()) as file:
        (tmp_path / "01.h5").unlink()
        os.mkfifo(tmp_path / "01.h5")
        with pytest.raises(DataError, match=r"01\.h5 is a pipe"):
            file.read("train")
        (tmp_path / "01.h5").unlink()
        with pytest.raises(DataError, match=r"no data file .*01\.h5"):
            file.read("train")
