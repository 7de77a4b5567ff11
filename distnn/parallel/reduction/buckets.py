"""Sums that begin while the rest of backward is still being computed: the gradient vector in buckets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distnn.parallel.communicator import Communicator
from distnn.parameters import Parameters


class Buckets:
    """Sums the gradients over the ranks in pieces, each as soon as backward has completed it.

    Gradients become complete from the last layer to the first, so a bucket is a contiguous piece of the vector, and
    buckets are sent from its end to its beginning: in the same order on all ranks, as MPI demands, whenever each of
    them gets there. What was sent moves on whenever a rank asks for it, which it does after every operation. Li et
    al., PyTorch Distributed: Experiences on Accelerating Data Parallel Training, 2020, arXiv:2006.15704.

    Arguments:
        world: the ranks.
        parameters: whose ``message`` is summed in place.
        size: a bucket is closed with the parameter that brings it to so many bytes.

    Attributes:
        pieces: of the message, in the order in which they are sent; the last holds the tail.
    """

    def __init__(self, world: Communicator, parameters: Parameters, size: float) -> None:
        self.world = world
        self.pieces: list[slice] = []
        self._bucket: dict[str, int] = {}
        stop = parameters.trainable
        for name in reversed(parameters.trained):
            self._bucket[name] = len(self.pieces)
            start = parameters.offsets[name]
            if start == 0 or (stop - start) * parameters.dtype.itemsize >= size:
                self.pieces.append(slice(start, stop))
                stop = start
        names = list(self._bucket.values())
        self._counts = [names.count(number) for number in range(len(self.pieces))]
        self.pieces.append(slice(parameters.trainable, len(parameters.message)))
        self._arrays = [parameters.message[piece] for piece in self.pieces]
        self._missing = list(self._counts)
        self._requests: list[Any] = []

    def progress(self, names: Sequence[str]) -> None:
        """The gradients of these parameters are complete: send what can be sent, and move on what was."""
        for name in names:
            if name in self._bucket:  # sums for running means are sent with the tail
                self._missing[self._bucket[name]] -= 1
        while len(self._requests) < len(self._missing) and not self._missing[len(self._requests)]:
            self._send()
        if self._requests:
            self.world.test_all(self._requests)

    def finish(self) -> None:
        """Send the rest, and wait for all of it."""
        while len(self._requests) < len(self.pieces):
            self._send()
        self.world.wait_all(self._requests)
        self._requests.clear()
        self._missing[:] = self._counts

    def _send(self) -> None:
        self._requests.append(self.world.begin_allreduce(self._arrays[len(self._requests)]))
