"""What a data file takes from other files, and what was never written in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distnn.data import DataFile, write_data
from distnn.errors import DataError

X = np.arange(24 * 4, dtype=np.uint8).reshape(24, 4)
Y = np.arange(24, dtype=np.uint8) % 3


def data_file(path: Path, put: Callable[[Any], object]) -> Path:
    """A data file whose train/x is what ``put`` puts into the group."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["task"], file.attrs["classes"] = "classification", ["a", "b", "c"]
        file["train/y"] = Y
        put(file["train"])
    return path


def source(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["x"] = X
    return path


def virtual(name: str, dataset: str = "x") -> Callable[[Any], object]:
    layout = h5py.VirtualLayout(X.shape, X.dtype)
    layout[:] = h5py.VirtualSource(name, dataset, X.shape)
    return lambda group: group.create_virtual_dataset("x", layout)


def external(name: str, size: Any = h5py.h5f.UNLIMITED) -> Callable[[Any], object]:
    return lambda group: group.create_dataset("x", X.shape, X.dtype, external=[(name, 0, size)])


def link(name: str) -> Callable[[Any], object]:
    def put(group: Any) -> None:
        group["x"] = h5py.ExternalLink(name, "x")

    return put


def soft(name: str) -> Callable[[Any], object]:
    """A link within the file, which leads over one that leads out of it."""

    def put(group: Any) -> None:
        group.file["over"] = h5py.ExternalLink(name, "/")
        group["x"] = h5py.SoftLink("/over/x")

    return put


def read(path: Path, **options: Any) -> np.ndarray:
    with DataFile(path, **options) as file:
        return file.read("train")[0]


@pytest.mark.parametrize("way", [virtual, link, soft])
def test_a_file_beside_it_is_read_and_one_elsewhere_only_where_that_is_meant(
    way: Callable[[str], Any], tmp_path: Path
) -> None:
    source(tmp_path / "here" / "part.h5")
    outside = source(tmp_path / "there" / "part.h5")
    np.testing.assert_array_equal(read(data_file(tmp_path / "here" / "a.h5", way("part.h5"))), X)
    for name in (str(outside), "../there/part.h5"):
        path = data_file(tmp_path / "here" / "b.h5", way(name))
        with pytest.raises(DataError, match=r"refers to another folder's file, .*part\.h5.*data\.follow = true"):
            read(path)
        np.testing.assert_array_equal(read(path, follow=True), X)


def test_raw_bytes_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").write_bytes(X.tobytes())
    np.testing.assert_array_equal(read(data_file(tmp_path / "a.h5", external("raw"))), X)
    path = data_file(tmp_path / "b.h5", external("/etc/passwd"))
    with pytest.raises(DataError, match="train/x refers to another folder's file, /etc/passwd"):
        read(path)
    (tmp_path / "raw").write_bytes(X.tobytes()[:-1])
    with pytest.raises(DataError, match="raw, which has 95 bytes where 96 are needed; HDF5 would read zeros"):
        read(tmp_path / "a.h5")


def test_a_source_that_is_missing_is_not_zeros(tmp_path: Path) -> None:
    path = data_file(tmp_path / "a.h5", virtual("part.h5"))
    with pytest.raises(DataError, match=r"its source .*part\.h5 is missing; HDF5 would read zeros"):
        read(path)
    source(tmp_path / "part.h5")
    path = data_file(tmp_path / "b.h5", virtual("part.h5", "other"))
    with pytest.raises(DataError, match="has no dataset other"):
        read(path)


def test_a_dataset_that_is_its_own_source(tmp_path: Path) -> None:
    for path in (
        data_file(tmp_path / "a.h5", virtual(".", "train/x")),
        data_file(tmp_path / "b.h5", virtual("b.h5", "train/x")),
    ):
        with pytest.raises(DataError, match="virtual dataset /train/x is its own source"):
            read(path)
    first = data_file(tmp_path / "one.h5", virtual("two.h5", "train/x"))
    data_file(tmp_path / "two.h5", virtual("one.h5", "train/x"))
    with pytest.raises(DataError, match="is its own source"):
        read(first)


def test_a_virtual_dataset_without_a_source_for_some_samples(tmp_path: Path) -> None:
    def put(group: Any) -> None:
        layout = h5py.VirtualLayout(X.shape, X.dtype)
        layout[:20] = h5py.VirtualSource("part.h5", "x", X.shape)[:20]
        group.create_virtual_dataset("x", layout)

    source(tmp_path / "part.h5")
    with pytest.raises(DataError, match="has sources for only 80 of its 96 values; HDF5 would read zeros"):
        read(data_file(tmp_path / "a.h5", put))


def test_a_virtual_dataset_that_grows_with_its_source(tmp_path: Path) -> None:
    def put(group: Any) -> None:
        layout = h5py.VirtualLayout(X.shape, X.dtype, maxshape=(None, 4))
        layout[: h5py.h5s.UNLIMITED] = h5py.VirtualSource("part.h5", "x", X.shape, maxshape=(None, 4))[
            : h5py.h5s.UNLIMITED
        ]
        group.create_virtual_dataset("x", layout)

    with h5py.File(tmp_path / "part.h5", "w") as file:
        file.create_dataset("x", data=X, maxshape=(None, 4))
    np.testing.assert_array_equal(read(data_file(tmp_path / "a.h5", put)), X)


def test_links_in_a_circle(tmp_path: Path) -> None:
    def put(group: Any) -> None:
        group["x"], group["z"] = h5py.SoftLink("/train/z"), h5py.SoftLink("/train/x")

    with pytest.raises(DataError, match="too many links"):
        read(data_file(tmp_path / "a.h5", put))


@pytest.mark.parametrize("chunks", [None, (5, 2), (24, 4)])
@pytest.mark.parametrize("written", [0, 12])
def test_what_was_never_written(chunks: Any, written: int, tmp_path: Path) -> None:
    def put(group: Any) -> None:
        dataset = group.create_dataset("x", X.shape, X.dtype, chunks=chunks)
        if written:
            dataset[:written] = X[:written]

    path = data_file(tmp_path / "a.h5", put)
    if written and chunks != (5, 2):  # the rest of the block that it lies in is written with it
        assert read(path).shape == X.shape
        return
    expected = "all 24 samples" if chunks is None else f"sample {15 if written else 0}"
    with pytest.raises(DataError, match=f"{expected} of /train/x and perhaps more were never written"):
        read(path)


@pytest.mark.parametrize("name", ["x", "y"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_single_number_that_was_never_written(name: str, split: str, tmp_path: Path) -> None:
    write_data(tmp_path / "a.h5", {"train": (X, Y), "test": (X, Y)}, task="regression")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file[split][name]
        file[split].create_dataset(name, (), np.float32)
    with pytest.raises(DataError, match=r"the shape \(\)"):
        read(tmp_path / "a.h5")


def test_zeros_that_are_meant(tmp_path: Path) -> None:
    def put(group: Any) -> None:
        group.create_dataset("x", X.shape, X.dtype, chunks=(5, 2), fillvalue=0)

    assert not read(data_file(tmp_path / "a.h5", put)).any()


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe is a pipe, a device or a socket; expected an HDF5 data file"):
        DataFile(tmp_path / "pipe")
    with pytest.raises(DataError, match="which is no regular file"):
        read(data_file(tmp_path / "a.h5", virtual("pipe")))
