"""Files of other formats, damaged at random: converted, or refused in one paragraph, and never anything else."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from distnn.data import DataFile
from distnn.data.convert import csv, idx, images, npz, parquet
from distnn.data.convert.table import Roles
from distnn.errors import DataError
from tests.fuzz_files import damaged
from tests.support.files import to_idx

FRAME = pd.DataFrame(
    {
        "number": np.arange(40) / 4,
        "word": ["red", "blue"] * 20,
        "day": pd.date_range("2020-01-01", periods=40).astype(str),
        "flag": [True, False, False, True] * 10,
        "t": ["x", "y"] * 20,
    }
)
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 9, 3), "u1")
Convert = Callable[[Path, Path], Path]


def table(convert: Callable[..., Path]) -> Convert:
    return lambda out, path: convert(out, path, Roles(("t",), types={"day": "date"}, missing="keep"), force=True)


def picture(out: Path, path: Path) -> Path:
    """A good image beside the one to be damaged."""
    folder = path.parent
    other = folder.parent / "b" / "0.png"
    other.parent.mkdir(exist_ok=True)
    Image.fromarray(PIXELS).save(other)
    return images.convert(out, folder.parent, force=True)


def labels(out: Path, path: Path) -> Path:
    return idx.convert(out, train=(to_idx(path.with_name("x"), PIXELS[..., 0]), path), force=True)


KINDS: dict[str, tuple[Callable[[Path], object], Convert]] = {
    "csv": (lambda path: FRAME.to_csv(path, index=False), table(csv.convert)),
    "parquet": (FRAME.to_parquet, table(parquet.convert)),
    "npz": (
        lambda path: np.savez(path, x=np.ones((20, 3)), y=np.arange(20) % 3),
        lambda o, p: npz.convert(o, p, force=True),
    ),
    "idx": (lambda path: to_idx(path, (np.arange(9) % 3).astype("u1")), labels),
} | {
    ending: (lambda path: Image.fromarray(PIXELS).save(path), picture)
    for ending in ("png", "jpg", "gif", "tif", "webp", "bmp")
}


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_refused_in_words_or_does_none(kind: str, tmp_path: Path) -> None:
    write, convert = KINDS[kind]
    chance, path, out = random.Random(1), tmp_path / "folder" / "a" / f"0.{kind}", tmp_path / "out.h5"
    path.parent.mkdir(parents=True)
    write(path)
    good = path.read_bytes()
    assert convert(out, path) == out
    refused = 0
    for _ in range(25):
        path.write_bytes(damaged(good, chance))
        try:
            convert(out, path)
        except DataError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 1000
        with DataFile(out):  # of this file, or of one before
            pass
    assert refused >= 3
    assert not [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_is_refused_before_it_is_opened(kind: str, tmp_path: Path) -> None:
    """As is a pipe, which would be waited for."""
    _, convert = KINDS[kind]
    path = tmp_path / "a" / f"0.{kind}"
    path.parent.mkdir()
    path.symlink_to("/dev/null")
    with pytest.raises(DataError, match=rf"0\.{kind} is a pipe, a device or a socket; expected an? "):
        convert(tmp_path / "out.h5", path)
