"""The loader: samples in the order that seed and epoch decide, converted and scaled on the way, without allocating."""

from __future__ import annotations

import tracemalloc
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from distnn.data import DataFile, write_data
from distnn.data.loader import Loader
from distnn.data.order import Order, Whole
from distnn.data.partition import Range
from distnn.data.stream import source
from distnn.errors import DataError
from tests.support.runs import DIGITS, blobs


def given_order(*numbers: int) -> Order:
    return Whole(len(numbers), lambda seed, epoch: np.array(numbers), "given")


def filled(loader: Loader, positions: Range, dtype: type, y_dtype: type = np.int64) -> tuple[np.ndarray, np.ndarray]:
    x = np.full((positions.length, *loader.fields["x"].shape[1:]), 99, dtype)
    y = np.full((positions.length, *loader.fields["y"].shape[1:]), 99, y_dtype)
    loader.fill(positions, {"x": x, "y": y})
    return x, y


def test_samples_come_in_the_order() -> None:
    x, y = np.arange(24, dtype=np.float32).reshape(6, 4), np.array([5, 4, 3, 2, 1, 0])
    loader = Loader({"x": x, "y": y})
    assert len(loader) == 6
    np.testing.assert_array_equal(filled(loader, Range(0, 6), np.float32)[0], x)
    loader = Loader({"x": x, "y": y}, order=given_order(3, 1, 0, 5, 4, 2))
    found, labels = filled(loader, Range(1, 4), np.float32)
    np.testing.assert_array_equal(found, x[[1, 0, 5]])
    np.testing.assert_array_equal(labels, y[[1, 0, 5]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stored", [np.uint8, np.int16, np.uint16, np.float32, np.float64, np.float16, np.bool_])
@pytest.mark.parametrize("scale", [None, 1 / 255])
def test_every_type_is_converted_and_scaled(stored: type, dtype: type, scale: float | None) -> None:
    x = (np.arange(30).reshape(5, 3, 2) % 2 if stored is np.bool_ else np.arange(30).reshape(5, 3, 2)).astype(stored)
    loader = Loader({"x": x, "y": np.arange(5, dtype=np.uint8)}, scale, order=given_order(4, 3, 2, 1, 0))
    for positions in (Range(0, 3), Range(3, 5), Range(0, 3)):
        found, labels = filled(loader, positions, dtype)
        expected = x[::-1][positions.start : positions.stop].astype(dtype) * dtype(scale or 1)
        np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype is np.float32 else 1e-15)
        np.testing.assert_array_equal(labels, np.arange(5)[::-1][positions.start : positions.stop])


def test_targets_may_have_any_shape_or_be_left_out() -> None:
    loader = Loader({"x": np.zeros((4, 2), np.float32), "y": np.arange(24.0).reshape(4, 3, 2)})
    _, y = filled(loader, Range(1, 3), np.float32, np.float32)
    np.testing.assert_array_equal(y, np.arange(6.0, 18.0).reshape(2, 3, 2))
    x = np.ones((2, 2), np.float32)
    loader.fill(Range(0, 2), {"x": x})
    assert not x.any()


def test_a_piece_of_a_split_is_read(tmp_path: Path) -> None:
    with DataFile(DIGITS) as file:
        whole, piece = Loader.read(file, "test"), Loader.read(file, "test", Range(100, 130))
        assert (len(whole), len(piece)) == (300, 30)
        assert piece.scale == whole.scale == file.scale
        np.testing.assert_array_equal(piece.fields["x"], whole.fields["x"][100:130])
        np.testing.assert_array_equal(piece.fields["y"], whole.fields["y"][100:130])
    with DataFile(blobs(tmp_path / "b.h5", {"train": 5})) as file:
        assert Loader.read(file, "train").scale is None


def test_digits_are_scaled_to_one() -> None:
    with DataFile(DIGITS) as file:
        x, _ = filled(Loader.read(file, "train"), Range(0, 1297), np.float32)
    assert x.min() == 0
    assert x.max() == pytest.approx(1)


def test_lengths_must_be_equal() -> None:
    with pytest.raises(DataError, match="x holds 3 samples and y 2; they must be equal"):
        Loader({"x": np.zeros((3, 1)), "y": np.zeros(2)})


@pytest.mark.parametrize("stored", [np.uint8, np.float32])
def test_filling_allocates_nothing(stored: type) -> None:
    loader = Loader({"x": np.ones((1000, 64), stored), "y": np.zeros(1000, np.int64)}, 1 / 255)
    targets = [(np.empty((n, 64), np.float32), np.empty(n, np.int64), Range(10, 10 + n)) for n in (1, 17, 64)]
    tracemalloc.start()
    try:
        for x, y, positions in targets:
            loader.fill(positions, {"x": x, "y": y})
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            for x, y, positions in targets:
                loader.fill(positions, {"x": x, "y": y})
        assert tracemalloc.get_traced_memory()[1] - before < 4096, "an array of 64 digits would be more"
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("name", ["x", "y"])
def test_a_number_that_the_trainings_type_lacks_is_refused_with_its_place(
    tmp_path: Path, name: str, in_memory: bool
) -> None:
    arrays = {"x": np.ones((10, 3)), "y": np.ones((10, 1))}
    arrays[name][7, -1] = -1e40
    splits = {"train": (np.ones((2, 3)), np.ones((2, 1))), "test": (arrays["x"], arrays["y"])}
    write_data(tmp_path / "a.h5", splits, task="regression")
    column = {"x": 2, "y": 0}[name]
    with (
        DataFile(tmp_path / "a.h5") as file,
        closing(source(file, "test", Range(4, 10), in_memory=in_memory)) as loader,
    ):
        loader.fill(Range(0, 6), {"x": np.empty((6, 3)), "y": np.empty((6, 1))})
        with pytest.raises(
            DataError, match=rf"a\.h5: test/{name}\[7, {column}\] is -1e\+40, which is too large for float32"
        ):
            loader.fill(Range(2, 6), {"x": np.empty((4, 3), np.float32), "y": np.empty((4, 1), np.float32)})
        loader.fill(Range(4, 6), {"x": np.empty((2, 3), np.float32), "y": np.empty((2, 1), np.float32)})


def test_a_scale_may_make_a_number_too_large() -> None:
    loader = Loader({"x": np.array([[1], [200]], np.uint8), "y": np.zeros(2)}, 1e37)
    x = np.empty((2, 1))
    loader.fill(Range(0, 2), {"x": x})
    np.testing.assert_allclose(x, [[1e37], [2e39]])
    with pytest.raises(DataError, match=r"x\[1, 0\] is scaled by 1e\+37, which is too large for float32"):
        loader.fill(Range(0, 2), {"x": np.empty((2, 1), np.float32)})
    with pytest.raises(DataError, match=r"x\[0, 0\] is scaled by 1e\+300, which is too large for float32"):
        Loader({"x": np.zeros((2, 1), np.uint8), "y": np.zeros(2)}, 1e300).fill(
            Range(0, 2), {"x": np.empty((2, 1), np.float32)}
        )


def test_what_was_infinite_before_is_left_to_others() -> None:
    """`Fitted.predict` takes any numbers, of either type."""
    x = np.empty((2, 1), np.float32)
    Loader({"x": np.array([[np.inf], [np.nan]]), "y": np.zeros(2)}).fill(Range(0, 2), {"x": x})
    np.testing.assert_array_equal(x, [[np.inf], [np.nan]])
