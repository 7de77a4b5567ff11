"""The reduction within a node: every rank sums and updates its own slice of the vectors, straight in shared memory."""

from __future__ import annotations

import math

import numpy as np

from distnn.ops.op import Array
from distnn.parallel.allreduce import Allreduce, Bind
from distnn.parallel.world import World
from distnn.parameters import Parameters

#: Elements summed at a time, so that the sum is still in the core's cache when the next rank's row is added.
BLOCK = 65536


class Node(Allreduce):
    """Reduce and update by slices, on ranks that share one copy of the parameters and see each other's gradients.

    A step meets twice: when all gradients are there, and when all slices are updated. In between each rank adds up its
    slice of every rank's gradient, in the order of the ranks, and updates that slice of the one parameter vector; the
    optimiser's state of a slice belongs to it too. Compared with Allreduce and an update on every rank, each number is
    read once by one rank instead of several times by all (Li, Hoefler and Snir, NUMA-aware shared-memory collective
    communication for MPI, 2013).

    Arguments:
        world: the ranks, all on one node.
        parameters: in a `NodeMemory`.
        bind: as for `Allreduce`.
        rows: every rank's message, one to a row.
    """

    def __init__(self, world: World, parameters: Parameters, bind: Bind, rows: Array) -> None:
        self.world, self.parameters = world, parameters
        # Slices end on cache lines: two ranks never write to the same one.
        lines = -(-parameters.length // 16)
        first, last = lines * world.rank // world.size, lines * (world.rank + 1) // world.size
        self._part = slice(first * 16, min(last * 16, parameters.length))
        self._total = np.zeros(max(0, self._part.stop - self._part.start), parameters.dtype)
        self.update_part = bind(self._part, self._total)
        self.tail = np.zeros_like(parameters.tail)
        start = parameters.length
        self._tails = rows[:, start : start + len(parameters.tail)]
        mine = rows[:, self._part]
        self._blocks = [(mine[:, k : k + BLOCK], self._total[k : k + BLOCK]) for k in range(0, len(self._total), BLOCK)]

    def reduce(self) -> None:
        """Add up this rank's slice, and the tails, of all ranks' messages."""
        self.world.barrier()
        np.add.reduce(self._tails, axis=0, out=self.tail)
        for rows, total in self._blocks:
            np.add(rows[0], rows[1], out=total)
            for row in rows[2:]:
                np.add(total, row, out=total)

    def norm(self) -> float:
        """‖Σ g‖₂ of the reduced gradient, from the slices' squares."""
        trained = self._total[: max(0, self.parameters.trainable - self._part.start)]
        squares = np.array([float(np.dot(trained, trained))])
        self.world.allreduce(squares)
        return math.sqrt(squares[0])

    def update(self, scale: float, learning_rate: float, step: int, samples: int) -> None:
        """Update this rank's slice, and wait until the others have theirs."""
        self.update_part(scale, learning_rate, step, samples)
        self.world.barrier()
