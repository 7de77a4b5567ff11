"""The predictions for a split, computed by all ranks and written by one, or by all where h5py has parallel HDF5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distnn.arrays import Array
from distnn.data.file import collective
from distnn.data.file.collective import Rows
from distnn.data.file.files import new_file, refused
from distnn.data.predictions import attributes, datasets, write_predictions
from distnn.parallel.communicator import Communicator


@dataclass(frozen=True)
class Predictions:
    """What a model predicts for a split.

    Attributes:
        rows: the predictions of this rank's samples, which may be none: (n, …).
        first: the number of the first of them in the split.
        total: how many samples the split holds.
        classes: the classes' names; empty for regression.
    """

    rows: Array
    first: int
    total: int
    classes: Sequence[str]

    def gathered(self, comm: Communicator) -> Array | None:
        """The whole split's (N, …) on rank 0; None elsewhere."""
        pieces = comm.gather(self.rows)
        return None if pieces is None else np.concatenate(pieces)

    def write(self, path: Path, comm: Communicator, *, about: Mapping[str, str], force: bool) -> None:
        """Write them to ``path``; every rank has to call it.

        Raises:
            DataError: on every rank, if the file exists and ``force`` isn't set, or it can't be written.
        """
        if comm.size > 1 and collective.available():
            self._write_together(path, comm, about, force)
            return
        whole = self.gathered(comm)

        def write() -> None:
            assert whole is not None
            write_predictions(path, whole, classes=self.classes, about=about, force=force)

        comm.on_root(write)

    def _write_together(self, path: Path, comm: Communicator, about: Mapping[str, str], force: bool) -> None:
        found = datasets(self.rows, self.classes)
        mine = {name: Rows(self.first, self.total, values) for name, values in found.items()}
        with ExitStack() as stack:  # rank 0's: it gives the file its name at the end, or removes it

            def lay_out() -> Path:
                temporary = stack.enter_context(new_file(path, force=force))
                try:
                    collective.lay_out(temporary, mine, attributes(self.classes, about))
                except OSError as error:
                    raise refused(path, error) from error
                return temporary

            temporary = comm.on_root(lay_out)
            reason = ""
            try:
                collective.fill(temporary, mine, comm.mpi)
            except OSError as error:
                reason = f"rank {comm.rank} on {comm.host}: {error}"
            if any(reasons := comm.allgather(reason)):
                raise refused(path, *filter(None, reasons))
            comm.on_root(stack.close)
