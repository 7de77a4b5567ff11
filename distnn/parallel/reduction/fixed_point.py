"""Sums that have the same bits in any order: gradients as whole numbers of a unit that all ranks agree on.

A micro-shard's gradient g of a parameter is added as the integer round(g · 2ᵏ), and integer addition has no order. So
neither the number of ranks, nor which of them owns a micro-shard, nor the algorithm of Allreduce changes a bit. Each
parameter has an exponent k of its own, which follows from the sum of the step before:

    max |Σ g| < 2ᵉ,   k = B − H − e,   B = min(51, 62 − ⌈log₂ S⌉),   H = 6

with S micro-shards in a step. One of them may be 2ᴴ times larger than the former sum, and S of them don't overflow 63
bits; a larger one is noticed, and the step is computed again with a unit that fits. Compared with the largest element
the unit is 2⁻⁴⁵: 21 bits finer than float32 has it, unless the sum before was much larger, after which one step has
fewer. The loss, its weight and a model's further sums are summed in the same way, with B = 62 − ⌈log₂ S⌉. Fixed-point
accumulation for sums that don't depend on their order: Kulisch and Miranker, The arithmetic of the digital computer: a
new approach, 1986; for parallel sums: Hallberg and Adcroft, An order-invariant real-to-integer conversion sum, 2014.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from distnn.arrays import Array
from distnn.errors import DistnnError
from distnn.kernels import fixed_point as reference
from distnn.kernels.loading import load
from distnn.parallel.communicator import Communicator
from distnn.parallel.memory import NodeMemory
from distnn.parallel.reduction.gradients import Totals, finite
from distnn.parallel.reduction.slices import Slices
from distnn.parallel.reduction.units import Exponents, Units
from distnn.parameters import Memory, Parameters
from distnn.sums import FIXED, SAMPLES, Layout

#: How much larger (as a power of two) a micro-shard's gradient may be than the sum of the step before.
HEADROOM = 6
#: What a sum may need beside its sign.
BITS = 62
#: Elements whose squares are summed together for the norm.
BLOCK = 1024
#: The tail begins with counts, ``LARGE`` and ``BAD`` of ranks. Behind them are numbers that have units: two scalars and
#: the further sums; then for each of the further sums the count of micro-shards in which it wasn't finite.
CORRECT, COUNT, STOP, SAVE, LARGE, BAD, NUMBERS = range(7)
#: How the two are named among the parameters.
SCALARS = ("loss", "weight of the loss")


class FixedGradients:
    """What `Gradients` are, in fixed point.

    Arguments:
        parameters: whose gradients are summed.
        memory: makes the message.
        layout: of the sums over samples.
        shards: the micro-shards of a step, S.
        minimum: the message's least length.
    """

    direct, align = False, BLOCK

    def __init__(self, parameters: Parameters, memory: Memory, layout: Layout, shards: int, minimum: int = 0) -> None:
        self.parameters, self.layout = parameters, layout
        length, count = parameters.length, len(parameters.shapes)
        numbers = len(SCALARS) + layout.length - len(FIXED)
        tail = NUMBERS + numbers + len(layout.further)
        self.message = memory.each(max(length + tail, minimum), np.dtype(np.int64))
        self.tail = self.message[length : length + tail]
        self.rows = memory.rows[-1] if isinstance(memory, NodeMemory) else None
        self._bits = BITS - math.ceil(math.log2(shards))
        lengths = dict.fromkeys((*parameters.shapes, *SCALARS), 1)
        lengths |= {f"sum {name}": where.stop - where.start for name, where in layout.further.items()}
        bits = dict.fromkeys(lengths, self._bits) | dict.fromkeys(parameters.shapes, min(reference.BITS, self._bits))
        self._units = Units(lengths, bits)
        self._integers = np.zeros(count, np.int64)
        # Of the numbers: their sums, their units, the magnitudes that don't fit, and where each further sum is.
        self._sums = self.tail[NUMBERS : NUMBERS + numbers]
        self._scales, self._largest = self._units.scales[count:], self._units.largest[count:]
        behind = len(FIXED) - len(SCALARS)
        self._further = [slice(where.start - behind, where.stop - behind) for where in layout.further.values()]
        # Each rank's maxima of what it restores, which all ranks of the node read.
        self._mine = memory.each(len(self._units.scales), np.dtype(np.float64))
        self._all = memory.rows[-1] if isinstance(memory, NodeMemory) else self._mine[None]
        self._kernels = load("fixed_point")
        self._ends = _ends(parameters, slice(0, length))
        self._scratch = reference.scratch()
        self._squares = np.zeros(-(-length // BLOCK))
        self._first = True

    def begin(self, pieces: int) -> None:
        """As `Gradients.begin`."""
        self._first = True
        self._units.largest[:] = 0
        self.tail[:] = 0
        if not pieces:
            self.message[:] = 0

    def add(self, sums: Array) -> None:
        """As `Gradients.add`."""
        units, integers, gradients = self._units, self._integers, self.parameters.gradients
        integers[:] = 0
        self._kernels.accumulate(
            self.message, gradients, self._ends, units.scales, integers, self._first, self._scratch
        )
        self._first = False
        limit = 1 << min(reference.BITS, self._bits)
        if integers.max() >= limit:
            for place in np.flatnonzero(integers >= limit).tolist():
                largest = np.abs(gradients[slice(*self._ends[place])]).max()
                units.largest[place] = np.maximum(units.largest[place], largest)
        loss, correct, weight, count = sums[:SAMPLES].tolist()
        self.tail[CORRECT] += int(correct)
        self.tail[COUNT] += int(count)
        numbers = np.concatenate(((loss, weight), sums[len(FIXED) :]))
        self._add_numbers(slice(len(SCALARS)), numbers)
        for place, where in enumerate(self._further, NUMBERS + len(numbers)):
            if finite(numbers[where]):
                self._add_numbers(where, numbers)
            else:  # no training ends for it
                self.tail[place] += 1

    def _add_numbers(self, where: slice, numbers: Array) -> None:
        """Add some of the numbers to the tail, or note those that are too large for their units, NaN among them."""
        values = numbers[where]
        with np.errstate(over="ignore"):  # it shows in what follows
            scaled = values * self._scales[where]
        fits = np.abs(scaled) < float(1 << self._bits)
        if fits.all():
            self._sums[where] += np.rint(scaled).astype(np.int64)
        else:
            self._largest[where] = np.maximum(self._largest[where], np.where(fits, 0.0, np.abs(values)))

    def close(self, stop: bool, save: bool, *, sent: bool = False) -> None:
        """As `Gradients.close`."""
        largest = self._units.largest
        self.tail[STOP], self.tail[SAVE] = stop, save
        self.tail[LARGE] = bool(largest.any())
        self.tail[BAD] = not np.all(np.isfinite(largest))

    def read(self, tail: Array, comm: Communicator) -> Totals | None:
        """As `Gradients.read`; a step that is computed again has the exponents that are set now."""
        correct, count, stop, save, large, bad = tail[:NUMBERS].tolist()
        sums, units = self.layout.zeros(), self._units
        if bad:
            lost = any(SCALARS[0] in names for names in comm.allgather(units.strange))
            sums.vector[0] = math.nan if lost else 0.0
            return Totals(sums, stop, save, bad)
        if large:
            comm.maximum(units.largest)
            units.fit(headroom=1)  # a number just below a power of two may be rounded up to it
            return None
        behind = NUMBERS + len(self._scales)
        numbers = tail[NUMBERS:behind] / self._scales
        for where, lost in zip(self._further, tail[behind:].tolist(), strict=True):
            if lost:
                numbers[where] = np.nan
        sums.vector[:SAMPLES] = numbers[0], correct, numbers[1], count
        sums.vector[len(FIXED) :] = numbers[len(SCALARS) :]
        self._mine[len(self._integers) :] = np.where(np.isnan(numbers), 0.0, np.abs(numbers))
        return Totals(sums, stop, save)

    def bind(self, part: slice, total: Array) -> tuple[Array, Callable[[], object]]:
        """As `Gradients.bind`."""
        values, ends = self.parameters.gradients[part], _ends(self.parameters, part)
        scales, largest = self._units.scales[: len(ends)], self._mine[: len(ends)]
        return values, lambda: self._kernels.restore(values, total, ends, scales, largest, self._scratch)

    def norm(self, values: Array, slices: Slices, mine: range, comm: Communicator) -> float:
        """As `Gradients.norm`, by sums over blocks that don't depend on the slices, in the order of the blocks."""
        start = slices.start(mine.start)
        trained = values[: max(0, self.parameters.trainable - start)]
        self._squares[:] = 0
        for k in range(0, len(trained), BLOCK):
            block = trained[k : k + BLOCK]
            self._squares[(start + k) // BLOCK] = np.dot(block, block)
        comm.allreduce(self._squares)  # each sum is added to zeros only
        return math.sqrt(float(np.add.reduce(self._squares)))

    def adapt(self) -> None:
        """Set the exponents of the next step by the sums of this one.

        Raises:
            DistnnError: if a sum was too large for the vectors' precision, on every rank.
        """
        units = self._units
        np.maximum.reduce(self._all, axis=0, out=units.largest)
        if not np.all(np.isfinite(units.largest)):
            raise DistnnError(
                f"the sum of the gradients of {', '.join(units.strange)} is too large for "
                f"{self.parameters.dtype}: the training diverged. A lower learning_rate, a warm-up "
                f"(schedule.warmup_steps) or train.clip_norm usually helps."
            )
        units.fit(HEADROOM)

    @property
    def exponents(self) -> dict[str, int | list[int]]:
        """By name k, of the unit 2⁻ᵏ."""
        return self._units.exponents

    def load(self, exponents: Exponents) -> None:
        """Take over `exponents`."""
        self._units.load(exponents)


def _ends(parameters: Parameters, part: slice) -> Array:
    """Where each parameter, or what of it is in ``part`` of the vectors, starts and stops in that part: (P, 2)."""
    ends = []
    for name in parameters.shapes:
        start = max(parameters.offsets[name], part.start)
        stop = min(parameters.offsets[name] + parameters.value[name].size, part.stop)
        ends.append((start - part.start, max(start, stop) - part.start) if start < stop else (0, 0))
    return np.array(ends, np.intp)
