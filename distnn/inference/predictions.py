"""The predictions for a split: all ranks compute them, and one writes them, or all if h5py has parallel HDF5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distnn.arrays import Array
from distnn.data.file import collective
from distnn.data.file.collective import Slab
from distnn.data.predictions import HDF5, attributes, check_ending, datasets, write_predictions
from distnn.outputs import new_file, refused
from distnn.parallel.communicator import Communicator


@dataclass(frozen=True)
class Predictions:
    """A model's predictions for a split.

    Attributes:
        rows: the predictions for this rank's samples, (n, …); n may be 0.
        first: the position of the first of them in the split.
        total: the number of samples in the split.
        classes: the classes' names; empty for regression.
        targets: the names of what a regression predicts, if they are known.
        truth: what is to be predicted for this rank's samples, where it is known: as in the data, but labels as the
            places of classes.
        remarks: why it isn't used, where it is there.
        numbers: which samples of the data file this rank's are (`DataFile.numbers`); from ``first`` on if None.
    """

    rows: Array
    first: int
    total: int
    classes: Sequence[str]
    targets: Sequence[str] = ()
    truth: Array | None = None
    remarks: Sequence[str] = ()
    numbers: Array | None = None

    def write(self, path: Path, comm: Communicator, *, about: Mapping[str, str], force: bool) -> None:
        """Write the predictions to ``path``, in the format that its ending names; every rank must call it.

        Raises:
            DataError: on every rank, as `distnn.data.predictions.write_predictions` does.
        """
        if comm.size > 1 and collective.available() and check_ending(path) in HDF5:
            self._write_together(path, comm, about, force)
            return
        pieces = comm.gather(self._datasets)

        def write() -> None:
            assert pieces is not None
            names = {"classes": self.classes, "targets": self.targets}
            write_predictions(path, pieces, **names, about=about, force=force)

        comm.on_root(write)

    @property
    def _datasets(self) -> dict[str, Array]:
        numbers = np.arange(self.first, self.first + len(self.rows)) if self.numbers is None else self.numbers
        return datasets(self.rows, self.classes, numbers, self.truth)

    def _write_together(self, path: Path, comm: Communicator, about: Mapping[str, str], force: bool) -> None:
        mine = {name: Slab(self.first, self.total, values) for name, values in self._datasets.items()}
        with ExitStack() as stack:  # on rank 0 it gives the file its name at the end, or removes it

            def lay_out() -> Path:
                temporary = stack.enter_context(new_file(path, force=force))
                try:
                    collective.lay_out(temporary, mine, attributes(self.classes, about))
                except OSError as error:
                    raise refused(path, error) from error
                return temporary

            temporary = comm.on_root(lay_out)
            failure = None
            try:
                collective.fill(temporary, mine, comm.mpi)
            except OSError as error:
                failure = (f"rank {comm.rank} on {comm.host}: {error}", error)
            if failures := [each for each in comm.allgather(failure) if each]:
                reasons, causes = zip(*failures, strict=True)
                raise refused(path, *reasons) from causes[0]
            comm.on_root(stack.close)
