"""A checkpoint on its way to the disk while the training goes on, in a thread of rank 0."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from distnn.errors import CheckpointError
from distnn.ops.op import Array
from distnn.parameters import Parameters


class Snapshot:
    """A copy of the parameters and the optimiser's state, in memory that is allocated once and used again.

    Arguments:
        parameters: of the model.
        slots: the optimiser's vectors by name.
    """

    def __init__(self, parameters: Parameters, slots: dict[str, Array]) -> None:
        self._parameters, self._slots = parameters, slots
        self._copies: dict[str, Array] = {}

    def take(self) -> None:
        """Copy everything as it is now; Python's global lock is free meanwhile."""
        for name, source in (("", self._parameters.values), *self._slots.items()):
            if name not in self._copies:
                self._copies[name] = np.empty_like(source)
            np.copyto(self._copies[name], source)

    @property
    def parameters(self) -> dict[str, Array]:
        """The copied values by name."""
        return self._parameters.views(self._copies[""])

    @property
    def optimizer(self) -> dict[str, dict[str, Array]]:
        """The copied slots, each by the parameters' names."""
        return {name: self._parameters.views(self._copies[name]) for name in self._slots}


class Writing:
    """A save that runs in a thread of its own from now on.

    Arguments:
        copy: takes what is to be saved into memory of its own.
        write: writes that to the disk, and returns the file.
        step: the number of steps done in it.

    Attributes:
        seconds: from its beginning to its end.
    """

    def __init__(self, copy: Callable[[], None], write: Callable[[], Path], step: int) -> None:
        self.step, self.seconds = step, 0.0
        self._start = time.perf_counter()
        self._copy, self._write = copy, write
        self._copied = threading.Event()
        self._path: Path | None = None
        self._error: CheckpointError | None = None
        self._thread = threading.Thread(target=self._run, name="distnn save", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return not self._thread.is_alive()

    def wait_for_copy(self) -> None:
        """Wait until what is saved may change again."""
        self._copied.wait()

    def wait(self, seconds: float) -> None:
        """Wait for the end, so long at most."""
        self._thread.join(seconds)

    def result(self) -> Path:
        """Wait for the end, and name the file.

        Raises:
            CheckpointError: if it couldn't be saved.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._path is not None
        return self._path

    def _run(self) -> None:
        try:
            try:
                self._copy()
            finally:
                self._copied.set()
            self._path = self._write()
            self.seconds = time.perf_counter() - self._start
        except CheckpointError as error:
            self._error = error
        except MemoryError:
            self._error = CheckpointError(
                f"the checkpoint of step {self.step} can't be saved: there is no memory for a copy of the parameters "
                f"and the optimiser's state, which rank 0 writes while the others go on. Give the job more memory. The "
                f"checkpoints saved before are intact, and the run can be resumed from them."
            )
        except Exception as error:  # nobody else would hear of it
            self._error = CheckpointError(
                f"the checkpoint of step {self.step} can't be saved: {type(error).__name__}: {error}. Please report "
                f"this as a fault of distnn. The checkpoints saved before are intact."
            )
