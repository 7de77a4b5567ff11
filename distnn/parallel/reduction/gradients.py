"""What the ranks sum in a step: one message of gradients, with a tail for the loss, the counts and the wishes.

`Gradients` sums in floating point. `distnn.parallel.reduction.fixed_point` has sums that no order of addition changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from distnn.arrays import Array
from distnn.ops.op import nothing
from distnn.parallel.communicator import Communicator
from distnn.parallel.memory import NodeMemory
from distnn.parallel.reduction.slices import Slices
from distnn.parameters import Memory, Parameters

#: The tail's elements. The count takes two, HIGH · 4096 + LOW, which float32 sums exactly up to 2³⁶ targets over 4096
#: ranks.
LOSS, CORRECT, WEIGHT, HIGH, LOW, STOP, SAVE, BAD, TAIL = range(9)
BASE = 4096


def finite(vector: Array) -> bool:
    """Whether all of its numbers are finite: by one product, which is infinite or NaN if one of them is."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(np.dot(vector, vector)) or bool(np.isfinite(vector).all())


class Totals(NamedTuple):
    """Sums over all ranks: of the loss, of hits, of what the loss is divided by, of targets, of the two wishes, and of
    the ranks whose gradients aren't finite.
    """

    loss: float = 0.0
    correct: float = 0.0
    weight: float = 0.0
    targets: int = 0
    stop: int = 0
    save: int = 0
    bad: int = 0


class Gradients:
    """This rank's part of a step's sums, in the vectors' own precision.

    Arguments:
        parameters: with a tail of `TAIL` elements.
        memory: what the message lives in, made there last.

    Attributes:
        message: what a reduction sums, with the gradients first.
        tail: the elements behind them.
        rows: the messages of all ranks of this node, where they share memory.
    """

    #: Whether `read` may ask for a step to be computed again.
    repeats = False
    #: Whether what backward writes for a step's only micro-shard is what the message holds.
    direct = True
    #: Slices of the vectors begin and end at multiples of so many elements: two ranks never write to one cache line.
    align = 16

    def __init__(self, parameters: Parameters, memory: Memory) -> None:
        self.parameters = parameters
        self.message, self.tail = parameters.message, parameters.tail
        self.rows = memory.rows[-1] if isinstance(memory, NodeMemory) else None
        self._sum: Array | None = None
        self._found = np.zeros(4)
        self._added = self._pieces = 0

    def begin(self, pieces: int) -> None:
        """Begin a step with so many micro-shards on this rank."""
        self._added, self._pieces = 0, pieces
        self._found[:] = 0
        if not pieces:
            self.message[:] = 0

    def add(self, found: Array) -> None:
        """Add a micro-shard: the parameters' gradients as they stand, and its loss, hits, weight and count (4,)."""
        np.add(self._found, found, out=self._found)
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
        loss, correct, weight, count = self._found.tolist()
        high, low = divmod(int(count), BASE)
        bad = not sent and not finite(self.parameters.gradients)
        for place, value in zip(range(TAIL), (loss, correct, weight, high, low, stop, save, bad), strict=True):
            self.tail[place] = value

    def read(self, tail: Array, world: Communicator) -> Totals | None:
        """What a summed tail says; None if the step has to be computed again."""
        loss, correct, weight, high, low, stop, save, bad = tail.tolist()
        return Totals(loss, correct, weight, int(high) * BASE + int(low), int(stop), int(save), int(bad))

    def bind(self, part: slice, total: Array) -> tuple[Array, Callable[[], object]]:
        """The gradients of a slice of the vectors in floating point, and what computes them from its ``total``."""
        return total, nothing

    def norm(self, values: Array, slices: Slices, mine: range, world: Communicator | None) -> float:
        """‖g‖₂ of all gradients, of which ``values`` are this rank's slices; ``world`` is None where that is all.

        It has the same bits on every node: squares are summed by slices, then the slices in their order.
        """
        squares, start = np.zeros(slices.count), slices.start(mine.start)
        for k in mine:
            part = values[slices.start(k) - start : min(slices.start(k + 1), self.parameters.trainable) - start]
            squares[k] = np.dot(part, part)
        if world is not None:
            world.allreduce(squares)  # each sum is added to zeros only
        return math.sqrt(float(np.add.reduce(squares)))

    def adapt(self) -> None:
        """Prepare the next step, once the ranks have met after this one's update."""

    @property
    def exponents(self) -> dict[str, int]:
        """What a checkpoint has to hold of this beside the parameters."""
        return {}

    def load(self, exponents: Mapping[str, int]) -> None:
        """Take over what a checkpoint holds of this."""
