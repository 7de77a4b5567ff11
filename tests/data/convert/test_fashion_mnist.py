"""Fashion-MNIST from small files of its form, and the real one where it is installed."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from distnn.data import DataFile
from distnn.data.convert import fashion_mnist, idx
from distnn.errors import DataError
from tests.support.files import contents, idx_folder, same


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_fashion_mnist(tmp_path: Path, suffix: str) -> None:
    arrays = idx_folder(tmp_path, suffix)
    path = fashion_mnist.convert(tmp_path / "a.h5", folder=tmp_path, validation=5)
    x, y = arrays["train"]
    same(contents(path), {"train": (x[:15], y[:15]), "validation": (x[15:], y[15:]), "test": arrays["test"]})
    with DataFile(path) as file, h5py.File(path) as raw:
        assert file.classes[0] == "T-shirt/top" and file.classes[9] == "Ankle boot" and len(file.classes) == 10
        assert "1708.07747" in raw.attrs["source"] and raw.attrs["licence"].startswith("MIT")


def test_fashion_mnist_says_what_is_missing_and_where_to_get_it(tmp_path: Path) -> None:
    idx_folder(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError) as caught:
        fashion_mnist.convert(tmp_path / "a.h5", folder=tmp_path)
    text = str(caught.value)
    assert f"not in {tmp_path}: looked for t10k-labels-idx1-ubyte, each with or without .gz" in text
    assert "apt install dataset-fashion-mnist" in text and "--source DIR" in text


@pytest.mark.skipif(not fashion_mnist.FOLDER.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_the_real_fashion_mnist(tmp_path: Path) -> None:
    path = fashion_mnist.convert(tmp_path / "fm.h5")
    with DataFile(path) as file:
        assert [file.count(split) for split in ("train", "validation", "test")] == [55_000, 5_000, 10_000]
        assert (file.sample_shape, file.x_dtype, file.scale) == ((28, 28), np.uint8, 1 / 255)
        assert np.bincount(file.read("test")[1]).tolist() == [1_000] * 10
        x, y = (np.concatenate(pair) for pair in zip(file.read("train"), file.read("validation"), strict=True))
    assert np.bincount(y).tolist() == [6_000] * 10
    np.testing.assert_array_equal(x, idx.read_idx(fashion_mnist.FOLDER / "train-images-idx3-ubyte.gz"))
