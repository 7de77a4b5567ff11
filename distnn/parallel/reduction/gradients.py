"""What the ranks sum in a step: one message of gradients, with a tail for the sums over samples and the wishes.

`Gradients` sums in floating point. `distnn.parallel.reduction.fixed_point` has sums that no order of addition changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from distnn.arrays import Array
from distnn.ops.op import nothing
from distnn.parallel.communicator import Communicator
from distnn.parallel.memory import NodeMemory
from distnn.parallel.reduction.slices import Slices
from distnn.parallel.reduction.units import Exponents
from distnn.parameters import Memory, Parameters
from distnn.sums import FIXED, SAMPLES, Layout, Sums

#: The tail's elements, behind which a model's further sums ride. The count takes two, HIGH · 4096 + LOW, which float32
#: sums exactly up to 2³⁶ targets over 4096 ranks.
LOSS, CORRECT, WEIGHT, HIGH, LOW, STOP, SAVE, BAD, TAIL = range(9)
BASE = 4096


class Totals(NamedTuple):
    """Sums over all ranks: over their samples, but for the number of these, which is known without; of the wishes to
    stop and to save; and of the ranks whose gradients aren't finite.
    """

    sums: Sums
    stop: int = 0
    save: int = 0
    bad: int = 0


def tail_length(layout: Layout) -> int:
    """How many elements the tail of `Parameters` needs for these sums."""
    return TAIL + layout.length - len(FIXED)


def finite(vector: Array) -> bool:
    """Whether all of its numbers are finite: by one product, which is infinite or NaN if one of them is."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(np.dot(vector, vector)) or bool(np.isfinite(vector).all())


class Gradients:
    """This rank's part of a step's sums, as one message, and what the message says once the ranks' are added up.

    Arguments:
        parameters: whose gradients are summed, with a tail of `tail_length` elements.
        memory: what the message lives in, made there last.
        layout: of the sums over samples.

    Attributes:
        message: what a reduction sums, with the gradients first.
        tail: the elements behind them.
        rows: the messages of all ranks of this node, where they share memory.
        direct: whether what backward writes for a step's only micro-shard is what the message holds.
        align: slices of the vectors begin and end at multiples of so many elements.
    """

    direct = True
    align = 16  # two ranks never write to one cache line

    def __init__(self, parameters: Parameters, memory: Memory, layout: Layout) -> None:
        self.parameters, self.layout = parameters, layout
        self.message, self.tail = parameters.message, parameters.tail
        self.rows = memory.rows[-1] if isinstance(memory, NodeMemory) else None
        self._sum: Array | None = None
        self._sums = layout.zeros().vector
        self._added = self._pieces = 0

    def begin(self, pieces: int) -> None:
        """Begin a step with so many micro-shards on this rank."""
        self._added, self._pieces = 0, pieces
        self._sums[:] = 0
        if not pieces:
            self.message[:] = 0

    def add(self, sums: Array) -> None:
        """Add a micro-shard: the parameters' gradients as they stand, and its sums, as their `Layout` has them."""
        np.add(self._sums, sums, out=self._sums)
        self._added += 1
        if self._pieces == 1:
            return
        gradients = self.parameters.gradients
        if self._sum is None:
            self._sum = np.empty_like(gradients)
        if self._added == 1:
            np.copyto(self._sum, gradients)
        else:  # the last sum ends where the reduction finds it
            np.add(self._sum, gradients, out=gradients if self._added == self._pieces else self._sum)

    def close(self, stop: bool, save: bool, *, sent: bool = False) -> None:
        """Write the tail: the message is complete. Gradients that were ``sent`` already can't be looked at any more."""
        loss, correct, weight, count = self._sums[:SAMPLES].tolist()
        high, low = divmod(int(count), BASE)
        bad = not sent and not finite(self.parameters.gradients)
        self.tail[:TAIL] = loss, correct, weight, high, low, stop, save, bad
        self.tail[TAIL:] = self._sums[len(FIXED) :]

    def read(self, tail: Array, comm: Communicator) -> Totals | None:
        """What a summed tail says; None if the step has to be computed again."""
        loss, correct, weight, high, low, stop, save, bad = tail[:TAIL].tolist()
        sums = self.layout.zeros()
        sums.vector[:SAMPLES] = loss, correct, weight, int(high) * BASE + int(low)
        sums.vector[len(FIXED) :] = tail[TAIL:]
        return Totals(sums, int(stop), int(save), int(bad))

    def bind(self, part: slice, total: Array) -> tuple[Array, Callable[[], object]]:
        """The gradients of a slice of the vectors in floating point, and what computes them from its ``total``."""
        return total, nothing

    def norm(self, values: Array, slices: Slices, mine: range, comm: Communicator) -> float:
        """‖g‖₂ of all gradients, of which ``values`` are this rank's slices, and the others those of ``comm``'s ranks.

        It has the same bits on every node: squares are summed by slices, then the slices in their order.
        """
        squares, start = np.zeros(slices.count), slices.start(mine.start)
        for k in mine:
            part = values[slices.start(k) - start : min(slices.start(k + 1), self.parameters.trainable) - start]
            squares[k] = np.dot(part, part)
        comm.allreduce(squares)  # each sum is added to zeros only
        return math.sqrt(float(np.add.reduce(squares)))

    def adapt(self) -> None:
        """Prepare the next step, once the ranks have met after this one's update."""

    @property
    def exponents(self) -> dict[str, int | list[int]]:
        """What a checkpoint has to hold of this beside the parameters."""
        return {}

    def load(self, exponents: Exponents) -> None:
        """Take over what a checkpoint holds of this."""
