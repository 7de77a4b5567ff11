"""Collective I/O: HDF5 files that all ranks read or fill together, if h5py is built with parallel HDF5.

To fill a file, one rank lays it out and closes it; then all ranks open it and write their own rows. So one rank reports
a file that can't be created, or for which the disk has no space, before any other rank has begun.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from distnn.arrays import Array
from distnn.data.file.atomic import allocate


def available() -> bool:
    """Whether this h5py can open a file on all ranks together, that is, was built with HDF5_MPI=ON."""
    return bool(h5py.get_config().mpi)


class Slab(NamedTuple):
    """Some rows of a dataset: the number of the first of them, the number of all rows, and their values."""

    first: int
    total: int
    values: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the whole dataset."""
        return (self.total, *self.values.shape[1:])


def lay_out(path: Path, datasets: Mapping[str, Slab], attributes: Mapping[str, Any]) -> None:
    """Create a file, and allocate the whole of these datasets in it; `fill` writes their rows.

    Raises:
        OSError: if it can't be created, or the disk has no space for it.
    """
    with h5py.File(path, "w", libver=("v108", "v110")) as file:
        file.attrs.update(attributes)
        for name, rows in datasets.items():
            allocate(file, name, rows.shape, rows.values.dtype)
    descriptor = os.open(path, os.O_RDWR)
    try:
        # A full disk is an error here; in HDF5 it can end the process (h5py issue 914).
        os.posix_fallocate(descriptor, 0, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def fill(path: Path, datasets: Mapping[str, Slab], comm: Any) -> None:
    """Write this rank's rows of every dataset; every rank must call it.

    Arguments:
        path: the file that `lay_out` created, on a file system that all ranks see.
        datasets: this rank's rows by name; the names are the same on every rank.
        comm: the ranks' mpi4py communicator.

    Raises:
        OSError: if the file can't be opened or written.
    """
    with h5py.File(path, "r+", driver="mpio", comm=comm) as file:
        for name, (first, _, values) in datasets.items():
            if len(values):
                file[name][first : first + len(values)] = values


def read(dataset: Any, start: int, target: Array) -> None:
    """Read the rows from ``start`` on into ``target``, which may be empty; every rank must call it, each for its own.

    Some ranks read what all need in long pieces, and send the others their rows (two-phase I/O: Thakur, Gropp and Lusk,
    Data Sieving and Collective I/O in ROMIO, 1999). h5py's own reading skips a rank that needs no rows, and the other
    ranks would wait for it.

    Arguments:
        dataset: a dataset of a file that the ranks have opened together.
        start: the first of this rank's rows.
        target: (n, …), contiguous.

    Raises:
        OSError: if the file can't be read.
    """
    transfer = h5py.h5p.create(h5py.h5p.DATASET_XFER)
    transfer.set_dxpl_mpio(h5py.h5fd.MPIO_COLLECTIVE)
    stored, memory = dataset.id.get_space(), h5py.h5s.create_simple(target.shape)
    if len(target):
        stored.select_hyperslab((start, *(0 for _ in target.shape[1:])), target.shape)
    else:
        stored.select_none()
        memory.select_none()
    dataset.id.read(memory, stored, target, dxpl=transfer)
