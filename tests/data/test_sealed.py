"""Checksums and fingerprints of data files: what is written with them, and what they find."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distnn.data import DataFile, write_data
from distnn.data.file.sealed import Verified, verify
from distnn.data.predictions import datasets, write_predictions
from distnn.errors import DataError
from tests.support.files import bare

X = np.random.default_rng(0).normal(size=(300, 500))
Y = np.arange(300) % 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A data file of whose x a chunk holds 131 samples."""
    splits = {"train": (X, Y), "test": (X[:20].astype(">f8"), Y[:20])}
    return write_data(tmp_path / "a.h5", splits, task="classification", classes=["a", "b", "ü"], scale=0.5)


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 16
    path.write_bytes(content)


def change(path: Path, name: str, value: Any) -> None:
    with h5py.File(path, "r+") as file:
        if name in file.attrs:
            file.attrs[name] = value
        elif value is None:
            del file[name]
        else:
            file[name][7] = value


def test_what_is_written_is_right(path: Path) -> None:
    """The fingerprints, by the formula of the format."""
    prints = {}
    with h5py.File(path) as file:
        for name in ("test/x", "test/y", "train/x", "train/y"):
            kind, scale = ("<f8", 0.5) if name.endswith("x") else ("<i8", None)
            values = file[name][...].astype(kind)
            head = json.dumps([kind, list(values.shape), scale]) + "\n"
            prints[name] = hashlib.sha256(head.encode() + values.tobytes()).hexdigest()
            assert (file[name].attrs["fingerprint"], file[name].fletcher32) == (prints[name], True)
        about = {"classes": ["a", "b", "ü"], "datasets": prints, "task": "classification"}
        whole = hashlib.sha256(json.dumps(about).encode()).hexdigest()
        assert file.attrs["fingerprint"] == whole
    calls: list[int] = []
    assert verify(path, lambda: calls.append(0)) == Verified(4, 4, whole)
    assert len(calls) == 3 + 1 + 1 + 1  # chunks


def test_each_damaged_byte_is_found_by_its_samples(path: Path) -> None:
    random = np.random.default_rng(1)
    with h5py.File(path) as file:
        chunks = [file["train/x"].id.get_chunk_info(number) for number in range(3)]
    good = path.read_bytes()
    for chunk in chunks:
        for place in random.integers(0, chunk.size, 4).tolist():
            flip(path, chunk.byte_offset + place)
            start = chunk.chunk_offset[0]
            words = rf"samples {start}\.\.{min(start + 131, 300)} of train/x can't be read, or don't fit their checksum"
            with pytest.raises(DataError, match=words):
                verify(path)
            with DataFile(path) as file, pytest.raises(DataError, match="of train could not be read"):
                file.read("train", start, start + 1)
            path.write_bytes(good)
    for chunk in chunks[:2]:
        flip(path, chunk.byte_offset)
    with pytest.raises(DataError, match=r"samples 0\.\.131, 131\.\.262 of train/x"):
        verify(path)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("train/x", 0.25, "train/x was changed after it was written: it doesn't fit its fingerprint"),
        ("test/y", 2, "test/y was changed after it was written"),
        ("classes", ["b", "a", "ü"], "its task, its classes, its datasets or their names were changed"),
        ("task", "regression", "its task, its classes, its datasets or their names were changed"),
        ("test", None, "its task, its classes, its datasets or their names were changed"),
        ("fingerprint", "0" * 64, "its task, its classes, its datasets or their names were changed"),
    ],
)
def test_what_a_program_has_changed_is_found(name: str, value: Any, words: str, path: Path) -> None:
    change(path, name, value)
    with pytest.raises(DataError, match=words):
        verify(path)


def test_a_fingerprint_is_of_the_content_only(path: Path, tmp_path: Path) -> None:
    splits = {"train": (X, Y), "test": (X[:20], Y[:20])}
    about: dict[str, Any] = {"task": "classification", "classes": ["a", "b", "ü"], "scale": 0.5, "licence": "CC0"}
    again = write_data(tmp_path / "b.h5", splits, **about)
    assert verify(again) == verify(path)
    assert verify(write_data(tmp_path / "c.h5", splits, **about | {"scale": 1})) != verify(path)


def test_a_name_that_has_changed_is_found(tmp_path: Path) -> None:
    names = {"x": [f"feature {place}" for place in range(X.shape[1])], "y": ["kind"]}
    path = write_data(tmp_path / "a.h5", {"train": (X, Y)}, task="regression", names=names)
    assert verify(path).fingerprint
    with h5py.File(path, "r+") as file:
        assert file["train/x"].attrs["names"].tolist() == names["x"]
        file["train/x"].attrs["names"] = names["x"][::-1]
    with pytest.raises(DataError, match="its datasets or their names were changed"):
        verify(path)


def test_predictions(tmp_path: Path) -> None:
    path = tmp_path / "p.h5"
    numbers = np.arange(len(X))
    pieces = [datasets(X[part, :3], ["a", "b", "c"], numbers[part]) for part in (slice(9), slice(9, None))]
    write_predictions(path, pieces, classes=["a", "b", "c"], about={"split": "test"}, force=False)
    assert verify(path)[:2] == (3, 3)
    change(path, "y_pred", (np.argmax(X[7, :3]) + 1) % 3)
    with pytest.raises(DataError, match="y_pred was changed"):
        verify(path)


def test_files_of_others_have_none(tmp_path: Path) -> None:
    path = bare(tmp_path / "a.h5", train__x=X, train__y=Y)
    assert verify(path) == Verified(2, 0, None)
    with h5py.File(path, "r+") as file:
        file.create_dataset("more/z", data=X, chunks=(100, 500), compression="gzip")
        file["text"], file["number"], file["empty"] = ["a"], 3.5, h5py.Empty("f4")
        file.create_dataset("none", (0, 3), "f4")
    assert verify(path) == Verified(4, 0, None)
    with h5py.File(path, "r+") as file:
        place = file["more/z"].id.get_chunk_info(1).byte_offset
    flip(path, place + 1000)
    with pytest.raises(DataError, match=r"samples 100\.\.200 of more/z can't be read"):
        verify(path)


def test_what_can_not_be_told_is_damage(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["train/x"].attrs["scale"] = "much"
    with pytest.raises(DataError, match="its structure could not be read"):
        verify(path)
