"""A checkpoint that is written to the disk while the training goes on, in a thread of each rank that writes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from pathlib import Path

import numpy as np

from distnn.arrays import Array
from distnn.errors import CheckpointError, described


class Snapshot:
    """Copies of arrays, in memory that is allocated once and used again."""

    def __init__(self) -> None:
        self._copies: list[Array] = []

    def take(self, sources: Sequence[Array]) -> list[Array]:
        """The arrays as they are now; Python's global lock is free while they are copied."""
        forms = [(source.shape, source.dtype) for source in sources]
        if forms != [(copy.shape, copy.dtype) for copy in self._copies]:
            self._copies = []  # let go of it before there is more
            self._copies = [np.empty_like(source) for source in sources]
        for copy, source in zip(self._copies, sources, strict=True):
            np.copyto(copy, source)
        return self._copies


class Writing:
    """A save, or this rank's part of it, that runs in a thread of its own from now on.

    Arguments:
        snapshot: what ``sources`` are copied into first.
        sources: what is to be saved; it may change once `wait_for_copy` has returned.
        write: writes the copies to the disk, and returns the file.
        step: the number of steps done in it.

    Attributes:
        start: when it began, by `time.perf_counter`.
        seconds: from its beginning to its end.
    """

    def __init__(
        self, snapshot: Snapshot, sources: Sequence[Array], write: Callable[[list[Array]], Path], step: int
    ) -> None:
        self.step, self.seconds = step, 0.0
        self.start = time.perf_counter()
        self._snapshot, self._sources, self._write = snapshot, sources, write
        self._copied = threading.Event()
        self._outcome: Future[Path] = Future()
        threading.Thread(target=self._run, name="distnn save", daemon=True).start()

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._outcome.done()

    def wait_for_copy(self) -> None:
        """Wait until what is saved may change again."""
        self._copied.wait()

    def wait(self, seconds: float) -> None:
        """Wait for the end, so long at most."""
        wait([self._outcome], seconds)

    def result(self) -> Path:
        """Wait for the end, and name the file.

        Raises:
            CheckpointError: if it couldn't be saved.
        """
        return self._outcome.result()

    def _run(self) -> None:
        try:
            try:
                copies = self._snapshot.take(self._sources)
            finally:
                self._copied.set()
            path = self._write(copies)
            self.seconds = time.perf_counter() - self.start
            self._outcome.set_result(path)
        except CheckpointError as error:
            self._outcome.set_exception(error)
        except MemoryError:
            self._fail(
                "there is no memory for a copy of the parameters and the optimiser's state, which is written while "
                "the training goes on. Give the job more memory"
            )
        except BaseException as error:  # nobody else would hear of it
            self._fail(f"{described(error)}. Please report this as a fault of distnn")

    def _fail(self, why: str) -> None:
        self._outcome.set_exception(
            CheckpointError(
                f"the checkpoint of step {self.step} can't be saved: {why}. The checkpoints saved before are intact, "
                f"and the run can be resumed from them."
            )
        )
