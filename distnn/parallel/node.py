"""The reduction within a node: every rank sums and updates its own slice of the vectors, straight in shared memory."""

from __future__ import annotations

import numpy as np

from distnn.parallel.allreduce import Allreduce, Bind
from distnn.parallel.gradients import Gradients, Totals
from distnn.parallel.world import World

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
        gradients: with rows in a `NodeMemory`.
        bind: as for `Allreduce`.
    """

    def __init__(self, world: World, gradients: Gradients, bind: Bind) -> None:
        rows = gradients.rows
        assert rows is not None, "the messages are in memory that the ranks share"
        self.world, self.gradients, self.parameters = world, gradients, gradients.parameters
        length, align = self.parameters.length, gradients.align
        lines = -(-length // align)
        first, last = lines * world.rank // world.size, lines * (world.rank + 1) // world.size
        self.part = slice(min(first * align, length), min(last * align, length))
        self._total = np.zeros(self.part.stop - self.part.start, rows.dtype)
        self.values, self._restore = gradients.bind(self.part, self._total)
        self.update_part = bind(self.part, self.values)
        self._tail = np.zeros_like(gradients.tail)
        self._tails = rows[:, length : length + len(self._tail)]
        mine = rows[:, self.part]
        self._blocks = [(mine[:, k : k + BLOCK], self._total[k : k + BLOCK]) for k in range(0, len(self._total), BLOCK)]

    def reduce(self) -> Totals | None:
        """Add up the tails, and this rank's slice, of all ranks' messages; None if the step is to be computed again."""
        self.world.barrier()
        np.add.reduce(self._tails, axis=0, out=self._tail)
        totals = self.gradients.read(self._tail, self.world)
        if totals is None:
            return None
        for rows, total in self._blocks:
            np.add(rows[0], rows[1], out=total)
            for row in rows[2:]:
                np.add(total, row, out=total)
        self._restore()
        return totals

    def norm(self) -> float:
        """‖Σ g‖₂ of the reduced gradient, from the slices' squares."""
        return self.gradients.norm(self.values, self.part, self.world)

    def update(self, scale: float, learning_rate: float, step: int, samples: int) -> None:
        """Update this rank's slice, and wait until the others have theirs."""
        self.update_part(scale, learning_rate, step, samples)
        self.world.barrier()
        self.gradients.adapt()
