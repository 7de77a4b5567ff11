"""Training samples in memory: once for each node, read by its ranks together."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from distnn.data import DataFile, write_data
from distnn.data.order import shuffled, stored
from distnn.errors import DataError, UsageError
from distnn.parallel import memory
from distnn.parallel.communicator import Communicator
from distnn.parallel.world import World
from distnn.session.samples import training_source
from tests.support.runs import DIGITS

WORLD = World.open().comm


@pytest.mark.mpi
def test_every_rank_sees_one_copy() -> None:
    with DataFile(DIGITS) as file:
        loader = training_source(file, shuffled(1297), WORLD, in_memory=True)
        x, y = file.read("train")
    np.testing.assert_array_equal(loader.fields["x"], x)
    np.testing.assert_array_equal(loader.fields["y"], y)
    assert (loader.fields["x"].dtype, loader.fields["y"].dtype) == (x.dtype, y.dtype)
    WORLD.barrier()
    if WORLD.rank == WORLD.size - 1:
        loader.fields["x"][5] = 77
    WORLD.barrier()
    assert np.all(loader.fields["x"][5] == 77)


@pytest.mark.mpi
def test_without_room_in_shared_memory_each_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PLACES", ["/nowhere"])
    with DataFile(DIGITS) as file:
        loader = training_source(file, shuffled(1297), WORLD, in_memory=True)
        np.testing.assert_array_equal(loader.fields["x"], file.read("train")[0])
    WORLD.barrier()
    loader.fields["x"][5] = WORLD.rank
    WORLD.barrier()
    assert np.all(loader.fields["x"][5] == WORLD.rank)


@pytest.mark.mpi
def test_what_one_of_them_finds_wrong_all_are_told(tmp_path: Path) -> None:
    folder = WORLD.bcast(tmp_path)
    x, y = np.zeros((1000, 3)), np.zeros(1000)
    WORLD.on_root(lambda: write_data(folder / "d.h5", {"train": (x, y)}, task="regression"))
    if WORLD.root:
        with h5py.File(folder / "d.h5", "r+") as raw:
            raw["train/x"][998, 1] = np.inf
    WORLD.barrier()
    with DataFile(folder / "d.h5") as file, pytest.raises(DataError, match=r"d\.h5.*train/x.*998"):
        training_source(file, stored(1000), WORLD, in_memory=True)


@pytest.mark.mpi
@pytest.mark.parametrize("difference", ["none", "a label", "a value", "two samples swapped"])
def test_what_one_node_holds_otherwise_is_found(
    difference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # each rank's own
    size = 200_000  # so many that the hash of some rows, which files are compared by first, doesn't see it
    path, odd = Path("d.h5"), WORLD.rank == WORLD.size - 1
    x = np.random.default_rng(0).integers(0, 255, (size, 6), np.uint8)
    y = np.arange(size) % 10
    if odd and difference == "a label":
        y[777] += 1
    elif odd and difference == "a value":
        x[199_997, 1] ^= 1
    elif odd and difference == "two samples swapped":
        x[[20, 70_000]], y[[20, 70_000]] = x[[70_000, 20]], y[[70_000, 20]]
    write_data(path, {"train": (x, y)}, task="classification", classes=[*"abcdefghij"])
    # The last rank is a node of its own; the others share one.
    comm = Communicator(WORLD.mpi, WORLD.mpi.Split(int(odd)) if WORLD.mpi else None)
    with DataFile(path) as file:
        assert len(set(comm.allgather(str(file.identity())))) == 1
        if difference == "none" or comm.size == 1:
            training_source(file, stored(size), comm, in_memory=True)
            return
        with pytest.raises(UsageError, match="the training samples, all of them") as caught:
            training_source(file, stored(size), comm, in_memory=True)
    assert f"rank {comm.size - 1} (host" in str(caught.value)
