"""The plain reduction: MPI Allreduce on the gradients, whole or in buckets, then the same update on every rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distnn.parallel.communicator import Communicator
from distnn.parallel.reduction.gradients import Totals, finite
from distnn.parallel.reduction.reduction import GradientSum, Reduction
from distnn.parameters import Parameters


class Allreduce(Reduction):
    """The reduction by which every rank has all of the summed gradients, and updates all of the parameters.

    Arguments:
        comm: the ranks.
        gradients: whose ``message`` is summed.
        bucket_mb: the sums of so many megabytes begin as soon as backward has completed them; None sums everything
            at the end.
    """

    def __init__(self, comm: Communicator, gradients: GradientSum, bucket_mb: float | None = None) -> None:
        super().__init__(comm, gradients, Communicator(), [[comm.rank]])
        self.values, self._restore = gradients.bind(self.part, gradients.message[self.part])
        self._buckets: Buckets | None = None
        if bucket_mb and comm.size > 1 and gradients.direct:
            buckets = Buckets(comm, gradients.parameters, 1e6 * bucket_mb)
            if len(buckets.pieces) > 2:  # else it is one sum and the tail's, which go together faster
                self._buckets, self.progress = buckets, buckets.progress

    def reduce(self) -> Totals | None:
        """As `Reduction.reduce`."""
        if self._buckets:
            self._buckets.finish()
        else:
            self.comm.allreduce(self.gradients.message)
        totals = self.gradients.read(self.gradients.tail, self.comm)
        if totals is not None:
            self._restore()
            if self._buckets and not finite(self.values):
                totals = totals._replace(bad=1)
        return totals


class Buckets:
    """Sums the gradients over the ranks in pieces, each as soon as backward has completed it.

    Gradients become complete from the last layer to the first, so a bucket is a contiguous piece of the vector, and
    buckets are sent from its end to its beginning: in the same order on all ranks, as MPI demands, whenever each of
    them gets there. What was sent moves on whenever a rank asks for it, which it does after every operation. Li et
    al., PyTorch Distributed: Experiences on Accelerating Data Parallel Training, 2020, arXiv:2006.15704.

    Arguments:
        comm: the ranks.
        parameters: whose ``message`` is summed in place.
        size: a bucket is closed with the parameter that brings it to so many bytes.

    Attributes:
        pieces: of the message, in the order in which they are sent; the last holds the tail.
    """

    def __init__(self, comm: Communicator, parameters: Parameters, size: float) -> None:
        from mpi4py import MPI

        self._comm, self._mpi = comm.mpi, MPI
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
            self._mpi.Request.Testall(self._requests)

    def finish(self) -> None:
        """Send the rest, and wait for all of it."""
        while len(self._requests) < len(self.pieces):
            self._send()
        self._mpi.Request.Waitall(self._requests)
        self._requests.clear()
        self._missing[:] = self._counts

    def _send(self) -> None:
        self._requests.append(self._comm.Iallreduce(self._mpi.IN_PLACE, self._arrays[len(self._requests)]))
