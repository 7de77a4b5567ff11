"""A look at some samples says what a network can't learn from, and nothing of what it can."""

from __future__ import annotations

import warnings as python
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distnn.data import DataFile, write_data
from distnn.data.file.fields import Description
from distnn.data.look import looked_at, warnings
from distnn.data.transforms import MinMax, Scale, ShiftLabels, Transform
from tests.support.runs import DIGITS, blobs, line

N = 3000


def told(path: Path, dtype: str = "float32", **transforms: list[Transform]) -> list[str]:
    """What is said of a file's training samples."""
    with DataFile(path, description=Description(transforms=transforms)) as file:
        pieces = [file.read_fields("train", *piece) for piece in looked_at(file)]
        fields = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        return warnings(file, fields, dtype)


def written(path: Path, x: Any, y: Any = None, **options: Any) -> Path:
    """A data file; for a regression without targets of its own, some of scale 1."""
    targets = np.random.default_rng(1).normal(size=len(x)) if y is None else y
    return write_data(path / "a.h5", {"train": (x, targets)}, task="regression", **options)


def normal(*scales: float, at: float = 0) -> Any:
    """Samples with features of these scales."""
    return np.random.default_rng(0).normal(size=(N, len(scales))) * scales + at


def test_nothing_is_said_of_what_can_be_learned_from(tmp_path: Path) -> None:
    assert told(DIGITS) == []
    assert told(blobs(tmp_path / "b.h5", {"train": 50})) == []
    assert told(line(tmp_path / "l.h5", {"train": 1})) == []
    assert told(written(tmp_path, normal(1, 20, 0.1))) == []


def test_features_of_different_scales_are_named(tmp_path: Path) -> None:
    (text,) = told(written(tmp_path, normal(1, 5000, 0.01), names={"x": ["a", "area", "c"]}))
    assert (
        "'area' spreads by 4.94e+03" in text and "'c' by 0.00994" in text and 'transforms.x = ["standardize"]' in text
    )
    assert told(tmp_path / "a.h5", x=[Scale(1e-3)])  # they still are


def test_large_features_are_named(tmp_path: Path) -> None:
    (text,) = told(written(tmp_path, normal(1, 1, at=5000)))
    assert "column 0 is about 5e+03" in text or "column 1 is about 5e+03" in text


@pytest.mark.parametrize("y", [normal(60000)[:, 0] + 180000, normal(1e-3), normal(1, at=1000)], ids=len)
def test_targets_far_from_one_are_told(tmp_path: Path, y: Any) -> None:
    (text,) = told(written(tmp_path, normal(1), y))
    assert 'Set transforms.y = ["standardize"]' in text


@pytest.mark.parametrize("dtype", ["i8", "u8", "f8"])
def test_numbers_that_become_equal_are_told(tmp_path: Path, dtype: str) -> None:
    x = np.column_stack([1_700_000_000 + np.arange(N), np.arange(N) % 7]).astype(dtype)
    equal = [text for text in told(written(tmp_path, x, names={"x": ["time", "day"]})) if "become equal" in text]
    assert len(equal) == 1 and "of 'time' 10" in equal[0]
    assert not any("become equal" in text for text in told(tmp_path / "a.h5", dtype="float64"))


def test_numbers_that_stand_close_together_lose_nothing_that_counts(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((20, 60, 60, 1)).astype("f4") + 1
    assert not told(written(tmp_path, x), x=[MinMax(axis="channel")])


def test_images_of_8_bits_that_nobody_scales_are_told(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 6)).astype("u1")
    (text,) = told(written(tmp_path, images))
    assert 'transforms.x = [{kind = "scale", factor = 0.00392156862745098}]' in text
    assert told(tmp_path / "a.h5", x=[Scale(1 / 255)]) == []
    write_data(tmp_path / "b.h5", {"train": (images, np.zeros(20))}, task="regression", scale=1 / 255)
    assert told(tmp_path / "b.h5") == []


def test_counts_are_no_images(tmp_path: Path) -> None:
    assert told(written(tmp_path, np.random.default_rng(0).integers(0, 21, (N, 4)).astype("u4"))) == []


def test_labels_are_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_data(path, {"train": (normal(1), np.arange(N) % 2)}, task="classification", classes=["a", "b"])
    assert told(path, y=[ShiftLabels([0, 1])]) == []


def test_of_what_is_missing_everywhere_nothing_is_said(tmp_path: Path) -> None:
    """Nor by numpy."""
    nothing = np.full((N, 1), np.nan)
    with DataFile(written(tmp_path, normal(1, 1))) as file, python.catch_warnings():
        python.simplefilter("error")
        assert warnings(file, {"x": np.hstack([normal(1), nothing]), "y": nothing}, "float32") == []
