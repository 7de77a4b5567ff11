"""Data sets of many files: the ranks look for them, and index them, together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distnn.data import DataFile
from distnn.data.cutting import Cut
from distnn.data.file import index
from distnn.data.file.fields import Description, Location
from distnn.data.order import stored
from distnn.data.partition import Range
from distnn.errors import DataError
from distnn.parallel.world import World
from distnn.session.samples import agree_on, training_source

WORLD = World.open().comm
N = 20
X = np.random.default_rng(0).normal(size=(N, 3, 4))


def made(tmp_path: Path) -> Path:
    """A folder, the same on all ranks, of files with a sample each."""
    folder: Path = WORLD.bcast(tmp_path)
    for k in range(N) if WORLD.root else ():
        with h5py.File(folder / f"{k:02}.h5", "w") as file:
            file["x"], file["y"] = X[k], k
    WORLD.barrier()
    return folder


def opened(folder: Path) -> DataFile:
    given = {"x": Location(("x",)), "y": Location(("y",))}
    said = Description(given, "regression", one_sample_files=True, cut=Cut(0.2, 3, 1))
    return DataFile(folder / "*.h5", WORLD.mpi, description=said)


@pytest.mark.mpi
def test_each_rank_opens_a_part_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, names, real = made(tmp_path), [], index.form_of

    def form_of(path: Path, *args: Any, **options: Any) -> Any:
        names.append(path.name)
        return real(path, *args, **options)

    monkeypatch.setattr(index, "form_of", form_of)
    for _ in range(2):
        with opened(folder) as file:
            agree_on(file, WORLD)
            numbers = Cut(0.2, 3, 1).at_random("", N)
            for split, part in numbers.items():
                np.testing.assert_array_equal(file.read(split)[1], part)
            count = len(numbers["train"])
            arrays = {"x": np.empty((count, 3, 4)), "y": np.empty(count)}
            training_source(file, stored(count), WORLD, in_memory=True).fill(Range(0, count), arrays)
            np.testing.assert_array_equal(arrays["x"], X[numbers["train"]])
    everyone = [name for each in WORLD.allgather(names) for name in each]
    assert sorted(everyone) == [f"{k:02}.h5" for k in range(N)]
    assert len(names) <= -(-N // WORLD.size)


@pytest.mark.mpi
def test_what_one_rank_finds_wrong_all_are_told(tmp_path: Path) -> None:
    folder = made(tmp_path)
    if WORLD.root:
        (folder / "13.h5").write_bytes(b"")
        (folder / ".distnn-index.json").unlink(missing_ok=True)
    WORLD.barrier()
    with pytest.raises(DataError, match=r"13\.h5 \(0 bytes\) can't be read as HDF5"):
        opened(folder)
    with pytest.raises(DataError, match=r"No file matches the pattern .*q\*\.h5"):
        DataFile(folder / "q*.h5", WORLD.mpi)
