"""Chunks that hold fewer values than they should, and files that change while they are read."""

from __future__ import annotations

import os
import shutil
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distnn.data import DataFile
from distnn.data.file.unpacking import most
from distnn.data.order import stored
from distnn.data.partition import Range
from distnn.data.stream import Stream
from distnn.errors import DataError

X = np.random.default_rng(0).integers(0, 40, (60, 50), np.uint16)
#: Two chunks of 25 samples, and one with 10, each in two pieces.
CHUNKS = (25, 30)
PIPELINES: dict[str, dict[str, Any]] = {
    "gzip": {"compression": "gzip"},
    "lzf": {"compression": "lzf"},
    "szip": {"compression": "szip"},
    "gzip of shuffled": {"compression": "gzip", "shuffle": True},
    "gzip with checksum": {"compression": "gzip", "fletcher32": True},
    "lzf with all": {"compression": "lzf", "shuffle": True, "fletcher32": True},
    "shuffled": {"shuffle": True},
    "checksum": {"fletcher32": True},
}


def data_file(path: Path, x: np.ndarray = X, chunks: tuple[int, ...] = CHUNKS, **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["task"] = "regression"
        file.create_dataset("train/x", data=x, chunks=chunks, **options)
        file["train/y"] = np.zeros((len(x), 1))
    return path


def chunk_of(length: int, folder: Path, **options: Any) -> bytes:
    """What HDF5 itself stores for so many values."""
    with h5py.File(folder / "part.h5", "w") as file:
        part = file.create_dataset("x", data=np.arange(length, dtype=np.uint16) // 20, chunks=(length,), **options)
        return bytes(part.id.read_direct_chunk((0,))[1])


def put(path: Path, place: tuple[int, int], content: bytes, skipped: int = 0) -> Path:
    with h5py.File(path, "r+") as file:
        file["train/x"].id.write_direct_chunk(place, content, skipped)
    return path


def read(path: Path, start: int = 0, stop: int | None = None) -> np.ndarray:
    with DataFile(path) as file:
        return file.read("train", start, stop)[0]


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_what_is_whole_is_read(pipeline: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(data_file(tmp_path / "a.h5", **PIPELINES[pipeline])), X)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_short_chunk_is_refused_by_its_samples(pipeline: str, tmp_path: Path) -> None:
    path = data_file(tmp_path / "a.h5", **PIPELINES[pipeline])
    put(path, (25, 30), chunk_of(400, tmp_path, **PIPELINES[pipeline]))
    with pytest.raises(DataError, match=r"the chunk of /train/x with the samples 25\.\.50 holds 800 bytes where 1480"):
        read(path)
    np.testing.assert_array_equal(read(path, 0, 25), X[:25])
    np.testing.assert_array_equal(read(path, 50), X[50:])


@pytest.mark.parametrize("pipeline", ["gzip", "lzf", "gzip with checksum", "checksum"])
def test_a_chunk_at_the_edge_may_lack_what_is_beyond_it(pipeline: str, tmp_path: Path) -> None:
    path = data_file(tmp_path / "a.h5", X, (25, 50), **PIPELINES[pipeline])
    put(path, (50, 0), chunk_of(10 * 50, tmp_path, **PIPELINES[pipeline]))
    np.testing.assert_array_equal(read(path), np.concatenate([X[:50], np.arange(500).reshape(10, 50) // 20]))


def test_a_chunk_whose_filter_was_skipped(tmp_path: Path) -> None:
    path = put(data_file(tmp_path / "a.h5", compression="gzip"), (0, 0), X[:25, :30].tobytes(), 1)
    np.testing.assert_array_equal(read(path), X)
    with pytest.raises(DataError, match=r"samples 0\.\.25 holds 100 bytes where 1500"):
        read(put(path, (0, 0), bytes(100), 1))


def test_a_chunk_shorter_than_its_checksum(tmp_path: Path) -> None:
    path = put(data_file(tmp_path / "a.h5", fletcher32=True), (25, 0), b"ab")
    with pytest.raises(DataError, match=r"samples 25\.\.50 holds 0 bytes"):
        read(path)


def test_a_chunk_that_is_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(1 << 28))
    with DataFile(put(data_file(tmp_path / "a.h5", compression="gzip"), (0, 0), bomb)) as file:
        assert file._data["train"]["x"]._length((0, 0)) <= most(25 * 30 * 2)


def test_a_chunk_of_a_virtual_datasets_source(tmp_path: Path) -> None:
    part = data_file(tmp_path / "part.h5", compression="gzip")
    layout = h5py.VirtualLayout((120, 50), X.dtype)
    for row in range(0, 60, 10):
        layout[row : row + 10] = h5py.VirtualSource(part, "train/x", X.shape)[row : row + 10]
    layout[60:] = h5py.VirtualSource(part, "train/x", X.shape)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["task"] = "regression"
        file.create_virtual_dataset("train/x", layout)
        file["train/y"] = np.zeros((120, 1))
    np.testing.assert_array_equal(read(tmp_path / "a.h5"), np.concatenate([X, X]))
    put(part, (25, 0), zlib.compress(bytes(60)))
    np.testing.assert_array_equal(read(tmp_path / "a.h5", 0, 20), X[:20])
    for rows in ((20, 30), (60, 61)):
        with pytest.raises(DataError, match=r"part\.h5 is damaged: the chunk of /train/x with the samples 25\.\.50"):
            read(tmp_path / "a.h5", *rows)


def test_each_chunk_is_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that HDF5 unpacks; the others are checked as they are unpacked."""
    with DataFile(data_file(tmp_path / "a.h5", compression="lzf")) as file:
        seen: list[tuple[int, int]] = []
        monkeypatch.setattr(file._data["train"]["x"], "_length", seen.append)
        for _ in range(2):
            file.read("train", 0, 30)
        assert seen == [(0, 0), (0, 30), (25, 0), (25, 30)]


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">f4", "f8", "?"])
@pytest.mark.parametrize("options", [{}, {"fillvalue": 0}, {"shuffle": True}])
def test_what_is_read_again_is_the_same(dtype: str, options: dict[str, Any], tmp_path: Path) -> None:
    """Without its checksum, where it consists of whole chunks."""
    x = (X % 2).astype(dtype)
    with DataFile(data_file(tmp_path / "a.h5", x, (25, 50), fletcher32=True, **options)) as file:
        for start, stop in [(0, 25), (0, 60), (25, 60), (50, 60), (0, 25), (3, 30), (10, 10), (25, 50), (50, 59)]:
            np.testing.assert_array_equal(file.read("train", start, stop)[0], x[start:stop])


def test_chunks_that_are_not_there_are_zeros_if_they_are_meant(tmp_path: Path) -> None:
    with h5py.File(data_file(tmp_path / "a.h5"), "r+") as file:
        del file["train/x"]
        x = file["train"].create_dataset("x", X.shape, X.dtype, chunks=(25, 50), fletcher32=True, fillvalue=0)
        x[30:] = X[30:]
    with DataFile(tmp_path / "a.h5") as file:
        for _ in range(2):
            np.testing.assert_array_equal(file.read("train")[0][25:], np.concatenate([np.zeros((5, 50)), X[30:]]))


@pytest.mark.parametrize("options", [{}, {"fletcher32": True}])
def test_a_file_cut_while_it_is_read_is_not_zeros(options: dict[str, Any], tmp_path: Path) -> None:
    path = data_file(tmp_path / "a.h5", np.ones((60, 50), np.uint16), (5, 50), **options)
    with DataFile(path) as file:
        samples = Stream(file, "train", order=stored(60, 5))
        x, y = np.empty((5, 50)), np.empty((5, 1))
        samples.fill(Range(0, 5), {"x": x, "y": y})
        assert x.all()
        os.truncate(path, 5000)
        with closing(samples), pytest.raises(DataError, match=r"a\.h5.*samples \d+\.\.\d+ of "):
            for start in range(5, 60, 5):
                samples.fill(Range(start, start + 5), {"x": x, "y": y})
                assert x.all()


def test_a_cut_is_told_with_dataset_and_samples(tmp_path: Path) -> None:
    path = data_file(tmp_path / "a.h5")
    size = path.stat().st_size
    with DataFile(path) as file:
        os.truncate(path, size - 1)
        words = (
            rf"has become shorter while it was read: {size - 1} bytes, and it had {size}.*samples 3\.\.9 of /train/x"
        )
        with pytest.raises(DataError, match=words):
            file.read("train", 3, 9)


def test_a_source_that_goes_away_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("raw").write_bytes(X.tobytes())
    with h5py.File("a.h5", "w") as file:
        file.attrs["task"] = "regression"
        file.create_dataset("train/x", X.shape, X.dtype, external=[("raw", 0, h5py.h5f.UNLIMITED)])
        file["train/y"] = np.zeros((60, 1))
    with DataFile("a.h5") as file:
        np.testing.assert_array_equal(file.read("train")[0], X)
        os.truncate("raw", 10)
        with pytest.raises(DataError, match="raw has become shorter"):
            file.read("train")
        Path("raw").unlink()
        with pytest.raises(DataError, match=r"raw, in which values of a\.h5 lie, is gone|can't be read"):
            file.read("train")


def test_a_file_that_is_replaced_is_read_on_and_one_that_is_written_to_is_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = data_file(tmp_path / "a.h5")
    with DataFile(path) as file:
        shutil.copy(path, tmp_path / "b.h5")
        os.utime(path, (1, 1))
        for _ in range(2):
            np.testing.assert_array_equal(file.read("train")[0], X)
        said = capsys.readouterr().err
        assert said.count("was written to while it was read; from samples 0..60 of /train/x on") == 1
        os.truncate(tmp_path / "b.h5", 100)
        os.replace(tmp_path / "b.h5", path)
        np.testing.assert_array_equal(file.read("train")[0], X)
        path.unlink()
        np.testing.assert_array_equal(file.read("train")[0], X)
        assert not capsys.readouterr().err
