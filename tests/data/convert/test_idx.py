"""IDX files: what they hold is what the data file holds, and a bad one is refused in words."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from distnn.data import DataFile
from distnn.data.convert import fashion_mnist, idx
from distnn.errors import DataError
from tests.support.files import CODES, contents, idx_folder, same, to_idx


@given(
    values=hnp.arrays(st.sampled_from(list(CODES)), hnp.array_shapes(max_dims=4, max_side=5)),
    suffix=st.sampled_from(["", ".gz"]),
)
def test_idx_round_trip(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray, suffix: str) -> None:
    path = to_idx(tmp_path_factory.mktemp("idx") / f"a{suffix}", values)
    found = idx.read_idx(path)
    assert found.dtype == values.dtype and found.dtype.isnative
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("validation", [0, 4])
def test_idx_files_become_a_data_file(tmp_path: Path, validation: int) -> None:
    arrays = idx_folder(tmp_path)
    train, test = ([tmp_path / name for name in names] for names in (fashion_mnist.TRAIN, fashion_mnist.TEST))
    path = idx.convert(tmp_path / "a.h5", train=(train[0], train[1]), test=(test[0], test[1]), validation=validation)
    x, y = arrays["train"]
    cut = 20 - validation
    expected = {"train": (x[:cut], y[:cut])} | ({"validation": (x[cut:], y[cut:])} if validation else {})
    same(contents(path), expected | {"test": arrays["test"]})
    with DataFile(path) as file:
        assert (file.classes, file.x_dtype, file.scale) == (tuple("0123456789"), np.uint8, 1 / 255)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is not an IDX file: it begins with the bytes (none); expected 00 00, a type code of 08, 09,"),
        (b"\x89PNG\r\n", "is not an IDX file: it begins with the bytes 89 50 4e 47"),
        (bytes([0, 0, 7, 1, 0, 0, 0, 0]), "is not an IDX file: it begins with the bytes 00 00 07 01"),
        (bytes([0, 0, 8, 0]), "is not an IDX file"),
        (bytes([0, 0, 8, 3, 0, 0]), "is truncated: 6 bytes, but the header alone has 16"),
        (
            bytes([0, 0, 8, 1, 0, 0, 0, 5, 1, 2]),
            "is truncated: its header describes an array (5,) of 1-byte numbers, 13 bytes in all, but there are 10",
        ),
        (bytes([0, 0, 8, 1, 0, 0, 0, 1, 1, 2]), "is too long: its header describes an array (1,)"),
        (bytes([0, 0, 13, 2]) + b"\xff" * 8, "is truncated: its header describes an array (4294967295, 4294967295)"),
        (gzip.compress(bytes(1000), mtime=0)[:-5], "is a truncated or damaged gzip file"),
        (b"\x1f\x8b" + bytes(100), "is a truncated or damaged gzip file"),
    ],
)
def test_a_bad_idx_file_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        idx.read_idx(path)
    assert str(caught.value).startswith(f"{path} {expected}")


def test_idx_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    images, labels = (
        to_idx(tmp_path / "x", np.zeros((5, 2, 2), np.uint8)),
        to_idx(tmp_path / "y", np.zeros(4, np.uint8)),
    )
    for pair, expected in {
        (images, labels): r"x holds 5 images but .*y 4 labels; expected one label for each image",
        (labels, images): r"y holds an array \(4,\); expected images .* given in the wrong order\?",
        (images, images): r"x holds an array \(5, 2, 2\) of uint8; expected integer labels \(N,\)",
        (images, tmp_path / "z"): "There is no IDX file .*z; check the path",
    }.items():
        with pytest.raises(DataError, match=expected):
            idx.read_pair(*pair)
    good = to_idx(tmp_path / "y", np.zeros(5, np.uint8))
    with pytest.raises(
        DataError, match="5 samples for validation were asked for, but it holds 5 in all; expected 0 to 4"
    ):
        idx.convert(tmp_path / "a.h5", train=(images, good), validation=5)
    negative = to_idx(tmp_path / "n", np.array([0, -3, 0, 0, 0], np.int8))
    with pytest.raises(DataError, match=r"n holds the label -3; expected the labels 0, 1, …"):
        idx.convert(tmp_path / "a.h5", train=(images, negative))
    assert not (tmp_path / "a.h5").exists()
