"""A checkpoint that several ranks write together, each its part of the one file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from distnn import checkpoint
from distnn.arrays import Array
from distnn.checkpoint import Draft, Extent
from distnn.checkpoint.background import Snapshot, Writing
from distnn.errors import CheckpointError
from distnn.parallel.communicator import Communicator
from distnn.parallel.meeting import Meeting


class Together:
    """A save by the ranks that have a share in it, in a thread each, and by rank 0 at the end; made by every rank.

    Rank 0 lays the file out. Each rank then copies its share and writes, syncs and verifies it; once all have, rank 0
    reads the whole file for its checksum, and gives it its name. Nothing of that holds up the steps but the layout and
    the copy; the ranks learn how far the others are by a `Meeting`, which `advance` looks at between steps.

    Where a rank doesn't see the file, as in a folder of rank 0's node, rank 0 writes it all.

    Arguments:
        comm: the ranks.
        draft: on rank 0, what is to be filled; None elsewhere.
        arrays: what every rank has of the content, by its path in the file.
        snapshot: for the copies.
        finish: on rank 0, makes a checkpoint of the draft.
        step: the number of steps done in it.

    Attributes:
        start: when it began, by `time.perf_counter`.
    """

    def __init__(
        self,
        comm: Communicator,
        draft: Draft | None,
        arrays: Mapping[str, Array],
        snapshot: Snapshot,
        finish: Callable[[Draft], Path],
        step: int,
    ) -> None:
        self.step, self.start, self._lead = step, time.perf_counter(), 0.0
        self._comm, self._draft, self._finish = comm, draft, finish
        self._meeting: Meeting | None = Meeting(comm)
        self._last: Writing | None = None
        places = draft and {name: block.offset for name, block in draft.extents.items()}
        self._path: Path
        self._path, self._final, places = comm.bcast(draft and (draft.path, draft.final, places))
        blocks = [Extent(checkpoint.flat(array), places[name]) for name, array in arrays.items()]
        ranks = checkpoint.writers(sum(len(block.content) for block in blocks), comm.size)
        share = checkpoint.share(blocks, ranks, comm.rank) if comm.rank < ranks else []
        if not all(comm.allgather(not share or os.path.exists(self._path))):
            share = blocks if comm.root else []
        if draft is not None:  # what only rank 0 has
            share += [block for name, block in draft.extents.items() if name not in arrays]
        self._places = [block.offset for block in share]
        self._part = Writing(snapshot, [block.content for block in share], self._fill, step)

    @property
    def seconds(self) -> float:
        """From its beginning to its end, on rank 0."""
        assert self._last is not None
        return self._lead + self._last.seconds

    @property
    def done(self) -> bool:
        """Whether nothing is left to do for this rank."""
        return self._meeting is None and (self._last is None or self._last.done)

    def advance(self, *, wait: bool = False) -> None:
        """Do what can be done now; with ``wait``, which every rank has to give then, wait for the other ranks."""
        if self._meeting is None:
            return
        if not self._meeting.come_to and (wait or self._part.done):
            self._meeting.come(self._problem())
        if self._meeting.come_to and self._meeting.over(wait=wait):
            problems = [text for text in self._meeting.texts if text]
            self._meeting = None
            if self._draft is not None:
                self._lead = time.perf_counter() - self.start
                self._last = Writing(Snapshot(), [], lambda _: self._end(problems), self.step)

    def wait_for_copy(self) -> None:
        """Wait until what is saved may change again."""
        self._part.wait_for_copy()

    def wait(self, seconds: float) -> None:
        """Wait for the end, so long at most, if the other ranks have done their part."""
        if self._last is not None:
            self._last.wait(seconds)

    def result(self) -> Path:
        """On rank 0, after `advance` has waited: wait for the end, and name the file.

        Raises:
            CheckpointError: if it couldn't be saved, by whatever rank.
        """
        assert self._last is not None
        return self._last.result()

    def _fill(self, copies: list[Array]) -> Path:
        if copies:
            blocks = [Extent(copy, place) for copy, place in zip(copies, self._places, strict=True)]
            checkpoint.fill(self._path, self._final, blocks)
        return self._path

    def _problem(self) -> str:
        """Wait for this rank's part, and say what went wrong with it."""
        try:
            self._part.result()
        except CheckpointError as error:
            return f"rank {self._comm.rank} on {self._comm.host}: {error}"
        return ""

    def _end(self, problems: list[str]) -> Path:
        assert self._draft is not None
        if problems:
            self._draft.discard()
            raise CheckpointError(problems[0])
        return self._finish(self._draft)
