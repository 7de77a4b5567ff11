"""What the tests of data files share: a small good file, a bare one, IDX files, and comparing splits."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distnn.data import DataFile, write_data
from distnn.data.convert import idx
from distnn.data.convert.fashion_mnist import TEST, TRAIN
from distnn.errors import DataError

Arrays = dict[str, tuple[np.ndarray, np.ndarray]]
X = np.arange(24, dtype=np.float32).reshape(6, 4)
Y = np.array([0, 1, 2, 0, 1, 2])
CLASSES = ("ant", "bee", "cat")


def classification(path: Path, **change: Any) -> Path:
    """A small good file; ``change`` replaces arguments of write_data."""
    arguments: dict[str, Any] = {"splits": {"train": (X, Y), "test": (X[:2], Y[:2])}, "classes": CLASSES}
    arguments |= {"task": "classification"} | change
    return write_data(path, arguments.pop("splits"), **arguments)


def bare(path: Path, *, attributes: dict[str, Any] | None = None, **datasets: Any) -> Path:
    """A file written with h5py alone, as users do; ``train__x`` is the dataset train/x."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"task": "classification", "classes": list(CLASSES)} if attributes is None else attributes)
        for name, values in datasets.items():
            file[name.replace("__", "/")] = values
    return path


def refused(path: Path) -> str:
    """The message with which a file is refused."""
    with pytest.raises(DataError) as caught:
        DataFile(path)
    return one_paragraph(caught, path)


def one_paragraph(caught: pytest.ExceptionInfo[DataError], path: Path) -> str:
    text = str(caught.value)
    assert "\n" not in text and str(path) in text and caught.value.exit_code == 2
    return text


def contents(path: Path) -> Arrays:
    """All the arrays of a data file by split."""
    with DataFile(path) as file:
        return {split: file.read(split) for split in file.splits}


CODES = {np.dtype(text).newbyteorder("="): code for code, text in idx.TYPES.items()}


def to_idx(path: Path, values: np.ndarray) -> Path:
    """Write an IDX file, gzipped where the name says so, as the format's page describes it."""
    header = bytes([0, 0, CODES[values.dtype], values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    data = header + values.astype(values.dtype.newbyteorder(">")).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def same(left: Arrays, right: Arrays) -> None:
    assert list(left) == list(right)
    for split, pair in left.items():
        for mine, other in zip(pair, right[split], strict=True):
            np.testing.assert_array_equal(mine, other)


def idx_folder(folder: Path, suffix: str = "", train: int = 20, test: int = 6) -> Arrays:
    """The four files of a small Fashion-MNIST, and what they hold."""
    random = np.random.default_rng(0)
    arrays = {}
    for names, count, split in ((TRAIN, train, "train"), (TEST, test, "test")):
        x = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        y = (np.arange(count) % 10).astype(np.uint8)
        to_idx(folder / f"{names[0]}{suffix}", x)
        to_idx(folder / f"{names[1]}{suffix}", y)
        arrays[split] = (x, y)
    return arrays
