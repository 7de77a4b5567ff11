"""Files that all ranks read or write together. They need an h5py with parallel HDF5, which .ci/parallel_hdf5 builds:

bash .ci/parallel_hdf5 ~/parallel '.[test]' && ~/parallel/python -m pytest tests/parallel/test_parallel_hdf5.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from distnn import checkpoint
from distnn.data import write_data
from distnn.data.file import collective
from tests.support import disks
from tests.support.launch import Result, mpiexec
from tests.support.resuming import finished, write
from tests.support.runs import DIGITS, DISTNN, babble, run_file
from tests.support.warm import warm

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
    return warm(n, ["predict", run, data, "-o", output, *more])


def content(path: Path) -> dict[str, np.ndarray]:
    """Everything in a file."""
    with h5py.File(path) as file:
        # What ranks write together has no fingerprint, which is of all bytes in their order.
        attributes = {name: np.asarray(file.attrs[name]) for name in file.attrs if name != "fingerprint"}
        return {name: file[name][:] for name in file} | attributes


@pytest.mark.parametrize("ranks", [2, 3, 4, 12])
def test_predictions_are_those_that_one_rank_writes(ranks: int, digits: Path, tmp_path: Path) -> None:
    for n, name in ((1, "alone.h5"), (ranks, "together.h5")):
        result = predict(n, digits, DIGITS, tmp_path / name)
        assert result.returncode == 0, result
    alone, together = content(tmp_path / "alone.h5"), content(tmp_path / "together.h5")
    written = {"y_pred", "probabilities", "row", "class", "y_true"}
    assert set(alone) == written | {"classes", "checkpoint", "data", "split"}
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
    assert "p.h5 could not be written: No space left on device. Nothing was changed; check" in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in small_disk.iterdir()] == ["other"]


def test_a_file_that_is_there(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "p.h5").write_text("precious")
    result = predict(3, digits, DIGITS, tmp_path / "p.h5")
    assert result.returncode == 2
    assert result.stderr.count("already exists and was left as it is") == 1
    assert (tmp_path / "p.h5").read_text() == "precious"
    assert predict(3, digits, DIGITS, tmp_path / "p.h5", "--force").returncode == 0
    assert "y_pred" in content(tmp_path / "p.h5")


#: Under mpiexec: prints for each file whether it is opened together, and each rank reads then what numpy finds in it.
READ = """
import sys
import numpy as np
from distnn.data import DataFile
from distnn.data.partition import part
from distnn.parallel.world import World
world = World.open().comm
for path in sys.argv[1:]:
    with DataFile(path) as alone, DataFile(path, world.mpi) as file:
        x, y = alone.read("train")
        mine = part(len(x), world.size, world.rank) if world.rank else part(0, 1, 0)
        found = {"x": np.empty_like(x[slice(*mine)]), "y": np.empty_like(y[slice(*mine)])}
        file.read_into("train", mine.start, found, by_all=file.together)
        same = all((a[slice(*mine)] == b).all() for a, b in zip((x, y), found.values()))
        again = all((a == b).all() for a, b in zip((x, y), file.read("train")))
    found = world.allgather((file.together, same, again))
    if world.root:
        print(found)
"""


def data_of(kind: str, folder: Path) -> Path:
    """The same rows, stored in one of several ways."""
    path, random = folder / f"{kind}.h5", np.random.default_rng(0)
    rows = random.integers(0, 256, (500, 6, 5), np.uint8)
    with h5py.File(folder / "source.h5" if kind == "virtual" else path, "w") as file:
        file.attrs["task"] = "regression"
        layout = {"chunks": (7, 6, 5), "compression": "gzip"} if kind == "gzip" else {}
        file.create_dataset("train/x", data=rows > 99 if kind == "flags" else rows, **layout)
        file["train/y"] = random.normal(size=500)
        y = h5py.VirtualSource(file["train/y"])
        x = h5py.VirtualSource(file["train/x"])
    if kind == "virtual":
        with h5py.File(path, "w") as file:
            file.attrs["task"] = "regression"
            for name, source in (("x", x), ("y", y)):
                virtual = h5py.VirtualLayout(source.shape, source.dtype)
                virtual[:] = source
                file.create_virtual_dataset(f"train/{name}", virtual)
    return path


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_data_are_read_by_all_ranks(ranks: int, tmp_path: Path) -> None:
    """Each gets its rows, or none, from any file; one that refers to others is opened by each for itself."""
    kinds = ["plain", "gzip", "flags", "virtual"]
    result = mpiexec(ranks, [sys.executable, "-c", READ, *(data_of(kind, tmp_path) for kind in kinds)])
    assert result.returncode == 0, result
    assert result.stdout.splitlines() == [str([(kind != "virtual", True, True)] * ranks) for kind in kinds]


def test_training_on_data_read_together(tmp_path: Path) -> None:
    """The same bits as with one rank, which reads alone."""
    run = write(tmp_path, train={"epochs": 1}, parallel={"reproducible": True, "shards": 4})
    ends = [finished(n, run, tmp_path / str(n)) for n in (1, 3)]
    assert checkpoint.digest(ends[0]) == checkpoint.digest(ends[1])


@pytest.mark.parametrize("change", ["bad sample", "bad model", "damage"])
def test_no_rank_waits_for_one_that_leaves(change: str, tmp_path: Path) -> None:
    """A rank that finds bad data leaves by itself, and so do all that can't open the file, or not build the model."""
    path, random = tmp_path / "data.h5", np.random.default_rng(0)
    x = random.normal(size=(400, 5))
    x[-1] = np.nan if change == "bad sample" else 0
    write_data(path, {"train": (random.normal(size=(400, 5)), random.normal(size=400))}, task="regression")
    with h5py.File(path, "r+") as file:
        file["train/x"][...] = x
    if change == "damage":
        path.write_bytes(path.read_bytes()[:3000])
    model = {"kind": "convnet" if change == "bad model" else "linear"}
    run = run_file(tmp_path / "run.toml", data={"path": str(path)}, model=model)
    # New processes: in a fork HDF5 is there before MPI, and closes no file by itself when that ends.
    result = mpiexec(3, [*DISTNN, "train", run, "--out", tmp_path / "out"])
    assert result.returncode == 2, result
    assert "Traceback" not in result.stderr
    said = {"bad sample": "399", "bad model": "convnet", "damage": "can't be read as HDF5"}[change]
    assert said in result.stderr
