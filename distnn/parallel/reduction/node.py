"""The reduction by nodes: every rank sums and updates its own slice of the vectors, straight in its node's memory."""

from __future__ import annotations

import numpy as np

from distnn.arrays import Array
from distnn.parallel.communicator import Communicator
from distnn.parallel.reduction.gradients import Totals
from distnn.parallel.reduction.reduction import GradientSum, Reduction

#: Elements summed at a time, so that the sum is still in the core's cache when the next rank's row is added.
BLOCK = 65536


class NodeReduction(Reduction):
    """The reduction by slices, on ranks that share one copy of the parameters on each node.

    A step meets twice on a node: when all gradients are there, and when all slices are updated. In between each rank
    adds up its slices of the gradients of every rank of its node, in the order of the ranks; adds these sums up over
    the nodes with the ranks that own the same slices there, all slices at once; and updates its slices of the node's
    one parameter vector. The optimiser's state of a slice belongs to its owners too. Compared with Allreduce and an
    update on every rank, each number is read once by one rank instead of several times by all (Li, Hoefler and Snir,
    NUMA-aware shared-memory collective communication for MPI, 2013), and every rank drives the network (Bayatpour et
    al., Scalable reduction collectives with data partitioning-based multi-leader design, 2017).

    Arguments:
        comm: the ranks.
        gradients: with rows in a `NodeMemory`.
    """

    def __init__(self, comm: Communicator, gradients: GradientSum) -> None:
        rows = gradients.rows
        assert rows is not None, "the messages are in memory that the ranks share"
        super().__init__(comm, gradients, comm.node(), comm.nodes)
        # Before a slice ride the tails of all nodes, each in a row that is added to zeros only: so all ranks read the
        # same bits and agree on what follows from them.
        tail, nodes = len(gradients.tail), len(comm.nodes)
        self._ahead = ahead = -(-tail * nodes // gradients.align) * gradients.align
        sums = np.zeros(ahead + self.part.stop - self.part.start, rows.dtype)
        self._table, self._total = sums[: tail * nodes].reshape(nodes, tail), sums[ahead:]
        self._tail = np.zeros(tail, rows.dtype)
        self._place = next(place for place, ranks in enumerate(comm.nodes) if comm.rank in ranks)
        length = gradients.parameters.length
        self._tails = rows[:, length : length + tail]
        self._messages = self._across(sums)
        self.values, self._restore = gradients.bind(self.part, self._total)
        own = rows[:, self.part]
        self._blocks = [(own[:, k : k + BLOCK], self._total[k : k + BLOCK]) for k in range(0, len(self._total), BLOCK)]

    def _across(self, sums: Array) -> list[tuple[Communicator, Array]]:
        """What is summed over the nodes: for each of this rank's slices its owners, and its place in ``sums``.

        A message begins `_ahead` elements before its slice.
        """
        if len(self.comm.nodes) == 1:
            return []
        places = [self._slices.start(k) - self.part.start for k in (*self._mine, self._mine.stop)]
        return [  # ascending on every rank, so none waits for another in a circle
            (self.comm.among(self._slices.owners(number), tag=number), sums[start : self._ahead + stop])
            for number, start, stop in zip(self._mine, places, places[1:], strict=False)
        ]

    def reduce(self) -> Totals | None:
        """As `Reduction.reduce`, of the gradients for this rank's slices only."""
        self._group.barrier()
        self._table.fill(0)
        np.add.reduce(self._tails, axis=0, out=self._table[self._place])
        for rows, total in self._blocks:
            _add_up(rows, total)
        self._exchange()
        np.add.reduce(self._table, axis=0, out=self._tail)
        totals = self.gradients.read(self._tail, self.comm)
        if totals is not None:
            self._restore()
        return totals

    def _exchange(self) -> None:
        """Add the slices and the table up over the nodes."""
        if not self._messages:
            return
        mine = self._table.ravel().copy()
        (owners, first), *more = self._messages
        owners.allreduce(first)
        for owners, message in more:  # all the owners of a slice need the table, whichever of theirs it is
            under = message[: self._ahead]
            kept = under.copy()
            under[: len(mine)] = mine
            owners.allreduce(message)
            under[:] = kept


def _add_up(rows: Array, total: Array) -> None:
    """Write the sum of the rows, in their order, to ``total``."""
    if len(rows) == 1:
        np.copyto(total, rows[0])
        return
    np.add(rows[0], rows[1], out=total)
    for row in rows[2:]:
        np.add(total, row, out=total)
