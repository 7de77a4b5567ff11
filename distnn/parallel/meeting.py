"""A meeting that nobody waits for: each rank comes when it is ready, and rank 0 sees when all have come."""

from __future__ import annotations

from typing import Any

import numpy as np

from distnn.parallel.communicator import Communicator


class Meeting:
    """One meeting of all ranks, to which each brings a text; beside whatever else they say to each other meanwhile.

    Arguments:
        comm: the ranks; each has to make the meeting, and to `come` to it.

    Attributes:
        texts: what the ranks brought, on rank 0 once it is `over`; each cut to `LENGTH` bytes.
    """

    #: Bytes of a text.
    LENGTH = 1000

    def __init__(self, comm: Communicator) -> None:
        self._mpi = comm.aside  # here, where all ranks are
        self._request: Any = None
        self._mine = np.zeros(self.LENGTH, np.uint8)
        self._all = np.zeros((comm.size, self.LENGTH), np.uint8) if comm.root else None
        self.texts: list[str] = []

    @property
    def come_to(self) -> bool:
        """Whether this rank has come."""
        return self._request is not None

    def come(self, text: str) -> None:
        """Come, with this text; the other ranks may be elsewhere."""
        content = np.frombuffer(text.encode()[: self.LENGTH], np.uint8)
        self._mine[: len(content)] = content
        self._request = self._mpi.Igather(self._mine, self._all)

    def over(self, *, wait: bool = False) -> bool:
        """Whether nothing is left to do here for this rank, which has come; with ``wait`` once that is so."""
        if wait:
            self._request.Wait()
        elif not self._request.Test():
            return False
        if self._all is not None:
            self.texts = [row.tobytes().rstrip(b"\0").decode(errors="replace") for row in self._all]
        return True
