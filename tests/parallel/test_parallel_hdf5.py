"""Files that all ranks write together. They need an h5py built with parallel HDF5, which .ci/parallel_hdf5 builds:

bash .ci/parallel_hdf5 ~/parallel '.[test]' && ~/parallel/python -m pytest tests/parallel/test_parallel_hdf5.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from distnn.data import collective
from tests import disks
from tests.launch import Result, mpiexec
from tests.parallel.resuming import finished, write
from tests.runs import DIGITS, DISTNN, babble, run_file

pytestmark = pytest.mark.skipif(
    not collective.available(), reason="h5py isn't built with parallel HDF5; cure: see the first lines of this file"
)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    finished(2, write(folder, train={"epochs": 1}), folder / "out")
    return folder / "out"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 100 kB of its own."""
    with disks.small_disk(tmp_path / "disk", "100k") as disk:
        yield disk


def predict(n: int, run: Path, data: Path, output: Path, *more: str) -> Result:
    return mpiexec(n, [*DISTNN, "predict", run, data, "-o", output, *more])


def content(path: Path) -> dict[str, np.ndarray]:
    """Everything in a file."""
    with h5py.File(path) as file:
        return {name: file[name][:] for name in file} | {name: np.asarray(file.attrs[name]) for name in file.attrs}


@pytest.mark.parametrize("ranks", [2, 3, 4, 12])
def test_predictions_are_those_that_one_rank_writes(ranks: int, digits: Path, tmp_path: Path) -> None:
    for n, name in ((1, "alone.h5"), (ranks, "together.h5")):
        result = predict(n, digits, DIGITS, tmp_path / name)
        assert result.returncode == 0, result
    alone, together = content(tmp_path / "alone.h5"), content(tmp_path / "together.h5")
    assert set(alone) == {"y_pred", "probabilities", "classes", "checkpoint", "data", "split"}
    assert alone.keys() == together.keys()
    for name, values in alone.items():
        assert values.dtype == together[name].dtype
        np.testing.assert_array_equal(values, together[name])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.h5", "together.h5"], "nothing is left behind"


def test_predictions_for_each_step_of_a_text(tmp_path: Path) -> None:
    data = babble(tmp_path / "text.h5", 3000)
    model = {"kind": "char-lstm", "embedding": 4, "hidden": [8]}
    run = run_file(tmp_path / "run.toml", data={"path": str(data)}, model=model)
    finished(3, run, tmp_path / "out")
    for n in (1, 3):
        result = predict(n, tmp_path / "out", data, tmp_path / f"{n}.h5", "--split", "train")
        assert result.returncode == 0, result
    for name, values in content(tmp_path / "1.h5").items():
        np.testing.assert_array_equal(values, content(tmp_path / "3.h5")[name])


def test_a_disk_that_is_full(digits: Path, small_disk: Path) -> None:
    (small_disk / "other").write_bytes(bytes(90_000))
    result = predict(3, digits, DIGITS, small_disk / "p.h5")
    assert result.returncode not in (0, None)
    assert "p.h5 could not be written: [Errno 28] No space left on device. Nothing was changed; check" in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in small_disk.iterdir()] == ["other"]


def test_a_file_that_is_there(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "p.h5").write_text("precious")
    result = predict(3, digits, DIGITS, tmp_path / "p.h5")
    assert result.returncode == 2
    assert result.stderr.count("exists already and was left as it is") == 1
    assert (tmp_path / "p.h5").read_text() == "precious"
    assert predict(3, digits, DIGITS, tmp_path / "p.h5", "--force").returncode == 0
    assert "y_pred" in content(tmp_path / "p.h5")
