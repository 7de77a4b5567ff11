"""HDF5 files that all ranks fill at one time, where h5py is built with parallel HDF5.

One rank lays the file out, and closes it; then all of them open it and write their own rows. So a file that can't be
created, or has no room, is one rank's error before any other has begun.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from distnn.data.files import allocate
from distnn.ops.op import Array


def available() -> bool:
    """Whether this h5py can open a file on all ranks together: it was built with HDF5_MPI=ON."""
    return bool(h5py.get_config().mpi)


class Rows(NamedTuple):
    """Some rows of a dataset: the number of the first, of all there are, and their values."""

    first: int
    total: int
    values: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the whole dataset."""
        return (self.total, *self.values.shape[1:])


def lay_out(path: Path, datasets: Mapping[str, Rows], attributes: Mapping[str, Any]) -> None:
    """Create a file with room for these whole datasets, whose rows are yet to come.

    Raises:
        OSError: if it can't be created, or there is no room for it on the disk.
    """
    with h5py.File(path, "w", libver=("v108", "v110")) as file:
        file.attrs.update(attributes)
        for name, rows in datasets.items():
            allocate(file, name, rows.shape, rows.values.dtype)
    descriptor = os.open(path, os.O_RDWR)
    try:
        # A disk that is full says so here, and not to HDF5, which can end the process for it (h5py issue 914).
        os.posix_fallocate(descriptor, 0, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def fill(path: Path, datasets: Mapping[str, Rows], comm: Any) -> None:
    """Write this rank's rows of every dataset; every rank has to call it.

    Arguments:
        path: what `lay_out` created, on a file system that all ranks see.
        datasets: with the same names on every rank.
        comm: the ranks' mpi4py communicator.

    Raises:
        OSError: if the file can't be opened or written.
    """
    with h5py.File(path, "r+", driver="mpio", comm=comm) as file:
        for name, (first, _, values) in datasets.items():
            if len(values):
                file[name][first : first + len(values)] = values
