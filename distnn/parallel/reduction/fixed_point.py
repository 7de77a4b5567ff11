"""Sums that have the same bits in any order: gradients as whole numbers of a unit that all ranks agree on.

A micro-shard's gradient g of a parameter is added as the integer round(g · 2ᵏ), and integer addition has no order. So
neither the number of ranks, nor which of them owns a micro-shard, nor the algorithm of Allreduce changes a bit. Each
parameter has an exponent k of its own, which follows from the sum of the step before:

    max |Σ g| < 2ᵉ,   k = B − H − e,   B = min(51, 62 − ⌈log₂ S⌉),   H = 6

with S micro-shards in a step. One of them may be 2ᴴ times larger than the former sum, and S of them don't overflow 63
bits; a larger one is noticed, and the step is computed again with a unit that fits. Compared with the largest element
the unit is 2⁻⁴⁵: 21 bits finer than float32 has it, unless the sum before was much larger, after which one step has
fewer. The loss and its weight are summed in the same way, with B = 62 − ⌈log₂ S⌉. Fixed-point accumulation for sums
that don't depend on their order: Kulisch and Miranker, The arithmetic of the digital computer: a new approach, 1986;
for parallel sums: Hallberg and Adcroft, An order-invariant real-to-integer conversion sum, 2014.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from distnn.arrays import Array
from distnn.errors import DistnnError
from distnn.kernels import fixed_point as reference
from distnn.kernels import load
from distnn.parallel.communicator import Communicator
from distnn.parallel.memory import NodeMemory
from distnn.parallel.reduction.gradients import Gradients, Totals
from distnn.parallel.reduction.slices import Slices
from distnn.parameters import Memory, Parameters

#: How much larger (as a power of two) a micro-shard's gradient may be than the sum of the step before.
HEADROOM = 6
#: What a sum may need beside its sign.
BITS = 62
#: The largest exponent, in which all but 0 is too large: what nothing is known of begins with it.
MOST = 1000
#: Elements whose squares are summed together for the norm.
BLOCK = 1024
#: The tail's integers: two sums in a unit of their own, then counts. ``LARGE`` and ``BAD`` count ranks.
LOSS, WEIGHT, CORRECT, COUNT, STOP, SAVE, LARGE, BAD, TAIL = range(9)
#: How the two are named among the parameters.
TELLING = ("loss", "weight of the loss")


class FixedGradients(Gradients):
    """`Gradients` in fixed point.

    Arguments:
        parameters: whose gradients are summed.
        memory: makes the message.
        shards: the micro-shards of a step, S.
        minimum: the message's least length.
    """

    repeats, direct = True, False
    align = BLOCK

    def __init__(self, parameters: Parameters, memory: Memory, shards: int, minimum: int = 0) -> None:
        self.parameters = parameters
        length = parameters.length
        self.message = memory.each(max(length + TAIL, minimum), np.dtype(np.int64))
        self.tail = self.message[length : length + TAIL]
        self.rows = memory.rows[-1] if isinstance(memory, NodeMemory) else None
        self.names = (*parameters.shapes, *TELLING)
        count = len(self.names)
        told = BITS - math.ceil(math.log2(shards))
        self._bits = np.array([min(reference.BITS, told)] * len(parameters.shapes) + [told] * len(TELLING))
        self._scales = np.full(count, math.ldexp(1.0, MOST))
        self._largest = np.zeros(count)
        self._integers = np.zeros(len(parameters.shapes), np.int64)
        # Each rank's maxima of what it restores, which all ranks of the node read.
        self._mine = memory.each(count, np.dtype(np.float64))
        self._all = memory.rows[-1] if isinstance(memory, NodeMemory) else self._mine[None]
        self._kernels = load("fixed_point")
        self._ends = _ends(parameters, slice(0, length))
        self._room = reference.scratch()
        self._squares = np.zeros(-(-length // BLOCK))
        self._first = True

    def begin(self, pieces: int) -> None:
        """Begin a step with so many micro-shards on this rank."""
        self._first = True
        self._largest[:] = 0
        self.tail[:] = 0
        if not pieces:
            self.message[:] = 0

    def add(self, found: Array) -> None:
        """Add a micro-shard: its gradients, and its loss, hits, weight and count (4,)."""
        self._integers[:] = 0
        self._kernels.accumulate(
            self.message, self.parameters.gradients, self._ends, self._scales, self._integers, self._first, self._room
        )
        self._first = False
        limit = 1 << int(self._bits[0])
        if self._integers.max() >= limit:
            for place in np.flatnonzero(self._integers >= limit).tolist():
                self._note(place, float(np.abs(self.parameters.gradients[slice(*self._ends[place])]).max()))
        loss, correct, weight, targets = found.tolist()
        self._tell(-2, LOSS, loss)
        self._tell(-1, WEIGHT, weight)
        self.tail[CORRECT] += int(correct)
        self.tail[COUNT] += int(targets)

    def _tell(self, place: int, where: int, value: float) -> None:
        """Add a number to the tail."""
        scaled = value * float(self._scales[place])
        if abs(scaled) < 1 << int(self._bits[place]):
            self.tail[where] += round(scaled)
        else:
            self._note(place, abs(value))

    def _note(self, place: int, magnitude: float) -> None:
        """What was added last is too large for its unit."""
        self._largest[place] = np.maximum(self._largest[place], magnitude)

    def close(self, stop: bool, save: bool, *, sent: bool = False) -> None:
        """Write the tail: the message is complete."""
        self.tail[STOP], self.tail[SAVE] = stop, save
        self.tail[LARGE] = bool(self._largest.any())
        self.tail[BAD] = not np.all(np.isfinite(self._largest))

    def read(self, tail: Array, world: Communicator) -> Totals | None:
        """What a summed tail says; None if the step has to be computed again, with the exponents that are set now."""
        loss, weight, correct, count, stop, save, large, bad = tail.tolist()
        if bad:
            lost = any(TELLING[0] in names for names in world.allgather(self._strange()))
            return Totals(math.nan if lost else 0.0, stop=stop, save=save, bad=bad)
        if large:
            world.maximum(self._largest)
            self._fit(self._largest, headroom=1)  # a number just below a power of two may be rounded up to it
            return None
        told = np.array([loss, weight]) / self._scales[-2:]
        self._mine[-2:] = np.abs(told)
        return Totals(float(told[0]), float(correct), float(told[1]), count, stop, save)

    def bind(self, part: slice, total: Array) -> tuple[Array, Callable[[], object]]:
        """The gradients of a slice in floating point, and what computes them from its ``total``."""
        values, ends = self.parameters.gradients[part], _ends(self.parameters, part)
        scales, largest = self._scales[: len(ends)], self._mine[: len(ends)]
        return values, lambda: self._kernels.restore(values, total, ends, scales, largest, self._room)

    def norm(self, values: Array, slices: Slices, mine: range, world: Communicator | None) -> float:
        """‖g‖₂, by sums over blocks that don't depend on the slices, added up in the order of the blocks."""
        start = slices.start(mine.start)
        trained = values[: max(0, self.parameters.trainable - start)]
        self._squares[:] = 0
        for k in range(0, len(trained), BLOCK):
            block = trained[k : k + BLOCK]
            self._squares[(start + k) // BLOCK] = np.dot(block, block)
        if world is not None:
            world.allreduce(self._squares)  # each sum is added to zeros only
        return math.sqrt(float(np.add.reduce(self._squares)))

    def adapt(self) -> None:
        """Set the exponents of the next step by the sums of this one.

        Raises:
            DistnnError: if a sum was too large for the vectors' precision, on every rank.
        """
        np.maximum.reduce(self._all, axis=0, out=self._largest)
        if not np.all(np.isfinite(self._largest)):
            raise DistnnError(
                f"the sum of the gradients of {', '.join(self._strange())} is too large for "
                f"{self.parameters.dtype}: the training diverged. A lower learning_rate, a warm-up "
                f"(schedule.warmup_steps) or train.clip_norm usually helps."
            )
        self._fit(self._largest, HEADROOM)

    @property
    def exponents(self) -> dict[str, int]:
        """By name k, of the unit 2⁻ᵏ."""
        _, exponents = np.frexp(self._scales)
        return {name: exponent - 1 for name, exponent in zip(self.names, exponents.tolist(), strict=True)}

    def load(self, exponents: Mapping[str, int]) -> None:
        """Take over `exponents`."""
        for place, name in enumerate(self.names):
            self._scales[place] = math.ldexp(1.0, exponents.get(name, MOST))

    def _fit(self, largest: Array, headroom: int) -> None:
        """Choose units in which these numbers, and ones 2^headroom times as large, have their `_bits`."""
        _, exponents = np.frexp(largest)
        for place in np.flatnonzero(largest).tolist():
            self._scales[place] = math.ldexp(1.0, min(MOST, int(self._bits[place]) - headroom - int(exponents[place])))

    def _strange(self) -> list[str]:
        """The names of what isn't finite."""
        return [name for name, value in zip(self.names, self._largest, strict=True) if not math.isfinite(value)]


def _ends(parameters: Parameters, part: slice) -> Array:
    """Where each parameter, or what of it is in ``part`` of the vectors, starts and stops in that part: (P, 2)."""
    ends = []
    for name in parameters.shapes:
        start = max(parameters.offsets[name], part.start)
        stop = min(parameters.offsets[name] + parameters.value[name].size, part.stop)
        ends.append((start - part.start, max(start, stop) - part.start) if start < stop else (0, 0))
    return np.array(ends, np.intp)
