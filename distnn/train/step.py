"""One step: this rank's micro-shards forward and backward, one reduction over the ranks, one update."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter

import numpy as np

from distnn.arrays import Array
from distnn.data import partition
from distnn.data.loader import Loader
from distnn.data.partition import Range, Shard
from distnn.errors import RunFileError
from distnn.graph.memory import Pool
from distnn.graph.plan import Plan
from distnn.models.model import SUMS, Model
from distnn.ops.op import nothing
from distnn.optim import Optimizer
from distnn.parallel.reduction.allreduce import Allreduce, UpdatePart
from distnn.parallel.reduction.fixed_point import FixedGradients
from distnn.parallel.reduction.gradients import TAIL, Gradients
from distnn.parallel.reduction.node import Node
from distnn.parallel.world import World
from distnn.parameters import Memory, Parameters, PrivateMemory
from distnn.train.carried import Carried
from distnn.train.timeline import Timeline

__all__ = ["FOLLOW", "TAIL", "Step"]

COUNT = SUMS.index("count")
#: The share of the way that running means go to a step's statistics.
FOLLOW = 0.1


class Step:
    """The data-parallel training step, bound once.

    Arguments:
        model: whose loss is minimised.
        parameters: with a tail of `TAIL` elements.
        loader: the training samples.
        optimizer: the update rule.
        world: the ranks.
        batch_size: of a global mini-batch.
        memory: what ``parameters`` live in; in a `NodeMemory` the ranks reduce and update by slices.
        seed: what random ops are keyed to, beside the step and the micro-shard.
        shards: the micro-shards that each batch is cut into; one per rank if None.
        accumulate: batches per update.
        clip_norm: the largest norm of the mean gradient; a larger one is scaled down to it (Pascanu, Mikolov and
            Bengio, On the difficulty of training recurrent neural networks, 2013). None doesn't clip.
        streams: each place in a batch is a stream, along which the model's state is carried.
        reproducible: sum in fixed point, which gives the same bits on any number of ranks.
        bucket_mb: as for `Allreduce`, which alone has buckets.

    Attributes:
        loss, correct: sums over the last step's samples of all ranks.
        samples, count, weight: their number, that of their targets that count, and what the loss is divided by for its
            mean: the number of targets, or their weight.
        stop, save: how many ranks wished to stop, and to save.
        bad: whether the loss or a gradient was infinite or NaN, so that nothing was updated.
        carried: the states of the streams.
        norm: of the mean gradient before clipping; only with ``clip_norm``.
        timeline: what records where the time goes; None records nothing. To be set before the first step.
        before_reduction: called once this rank's gradient is there; until it returns, no rank updates anything.
        data_s, compute_s, comm_s: seconds spent so far in each.
    """

    def __init__(
        self,
        model: Model,
        parameters: Parameters,
        loader: Loader,
        optimizer: Optimizer,
        world: World,
        *,
        batch_size: int,
        seed: int = 0,
        memory: Memory | None = None,
        shards: int | None = None,
        accumulate: int = 1,
        clip_norm: float | None = None,
        streams: bool = False,
        reproducible: bool = False,
        bucket_mb: float | None = None,
    ) -> None:
        self.model, self.parameters, self.loader, self.world = model, parameters, loader, world
        self.batch_size, self.accumulate, self.clip_norm = batch_size, accumulate, clip_norm
        self.shards = shards or world.comm.size
        self.optimizer = optimizer
        memory = memory or PrivateMemory()
        self.gradients = (
            FixedGradients(parameters, memory, self.shards * accumulate, world.comm.size)
            if reproducible
            else Gradients(parameters, memory)
        )
        self.before_reduction: Callable[[], object] = nothing
        self.slots = {name: memory.one(parameters.trainable, parameters.dtype) for name in optimizer.slots}
        self.reduction = (
            Node(world.comm, self.gradients, self.bind)
            if self.gradients.rows is not None
            else Allreduce(world.comm, self.gradients, self.bind, None if model.exchanges else bucket_mb)
        )
        self._exchange = world.comm.allreduce if model.exchanges and world.comm.size > 1 else None
        if model.exchanges and reproducible:
            raise RunFileError(
                "the model has batch normalisation over whole mini-batches (whole = true), whose sums over the ranks "
                "depend on their number; leave it out, or set parallel.reproducible = false."
            )
        if model.exchanges and self.shards != world.comm.size:
            raise RunFileError(
                f"the model has batch normalisation over whole mini-batches (whole = true), for which all micro-shards "
                f"must be computed at the same time, one on each rank; but parallel.shards is {self.shards} and the "
                f"number of ranks {world.comm.size}. Leave out one of the two settings."
            )
        self._pool = Pool()
        self._plans: dict[int, Plan] = {}
        self._found = np.zeros(len(SUMS))
        self._counted = [(k, name) for k, name in enumerate(SUMS) if name in model.outputs]
        self._key = np.array([seed, 0, 0], np.intp)
        self.loss = self.correct = self.weight = self.norm = 0.0
        self.carried = Carried(model, batch_size if streams else 0, parameters.dtype)
        self.samples, self.count, self.stop, self.save, self.bad = 0, 0, 0, 0, False
        self.data_s = self.compute_s = self.comm_s = 0.0
        self.timeline: Timeline | None = None

    @property
    def windows(self) -> int:
        """The number of steps of an epoch."""
        return partition.batches(partition.batches(len(self.loader), self.batch_size), self.accumulate)

    def pieces(self, window: int) -> list[Shard]:
        """This rank's micro-shards in the epoch's ``window``-th step, numbered through its batches."""
        samples, whole, comm = len(self.loader), self.carried.streams or None, self.world.comm
        first, last = self._batches(window)
        return [
            Shard(shard + (index - first) * self.shards, positions)
            for index in range(first, last)
            for shard, positions in partition.micro_shards(
                partition.batch(samples, self.batch_size, index), self.shards, comm.size, comm.rank, whole
            )
        ]

    def _batches(self, window: int) -> Range:
        """The batches of the epoch's ``window``-th step."""
        return partition.batch(partition.batches(len(self.loader), self.batch_size), self.accumulate, window)

    def _samples(self, window: int) -> int:
        """The samples of the epoch's ``window``-th step on all ranks."""
        size = self.accumulate * self.batch_size
        return partition.batch(len(self.loader), size, window).length

    def run(
        self, window: int, learning_rate: float, stop: bool = False, number: int = 0, *, save: bool = False
    ) -> None:
        """Train on the epoch's ``window``-th step.

        Arguments:
            window: from 0.
            learning_rate: for this step.
            stop: this rank's wish to stop, told to all in the reduction.
            number: of the step in the whole run, from 0, which random ops are keyed to and optimisers count by.
            save: this rank's wish to save, told to all likewise.
        """
        self.world.heartbeat.beat(f"step {number + 1}")
        if window == 0:
            self.carried.reset()
        self._key[1] = number
        self.carried.mark()
        try:
            while not self._sum(window, stop, save):
                self.carried.rewind()
        except BaseException:
            self.carried.rewind()  # other ranks than these may do the step again
            raise
        start = perf_counter()
        if not self.bad:
            self.reduction.update(self._scale(), learning_rate, number, self.samples)
        end = perf_counter()
        self.compute_s += end - start
        if self.timeline:
            self.timeline.add("update", start, end, facts=f"step {number + 1}")

    def _sum(self, window: int, stop: bool, save: bool) -> bool:
        """Sum the step's gradients over all micro-shards and ranks; False if that has to be done again."""
        self._accumulate(window)
        if self.world.failures.elastic:
            self.carried.spread(self.world.comm, self.shards)
        self.gradients.close(stop, save, sent=self.reduction.progress is not None)
        self.before_reduction()
        start = perf_counter()
        totals = self.reduction.reduce()
        self.world.failures.confirm()
        end = perf_counter()
        self.comm_s += end - start
        if self.timeline:
            self.timeline.add("reduce", start, end)
        if totals is None:
            return False
        self.loss, self.correct, self.weight, self.count, self.stop, self.save, bad = totals
        self.bad = bool(bad) or not math.isfinite(self.loss)
        self.samples = self._samples(window)
        if self.model.weight is None:
            self.weight = self.count
        return True

    def _scale(self) -> float:
        """What turns the summed gradient into the mean one, and clips it."""
        if not self.weight:  # not one of the step's targets counts: its gradient is 0
            return 0.0
        scale = 1 / self.weight
        if self.clip_norm is not None:
            self.norm = scale * self.reduction.norm()
            if self.norm > self.clip_norm:
                scale *= self.clip_norm / self.norm
        return scale

    def bind(self, part: slice, gradients: Array) -> UpdatePart:
        """The update of a slice of the vectors: the optimiser's for parameters, a tenth of the way for running means.

        Running means: Ioffe and Szegedy 2015.
        """
        parameters = self.parameters
        trained = slice(part.start, max(part.start, min(part.stop, parameters.trainable)))
        count = trained.stop - trained.start
        update = self.optimizer.bind(
            parameters.values[trained],
            gradients[:count],
            {name: vector[trained] for name, vector in self.slots.items()},
            _segments(parameters, trained),
        )
        running, sums = parameters.values[trained.stop : part.stop], gradients[count:]

        def run(scale: float, learning_rate: float, step: int, samples: int) -> None:
            update(scale, learning_rate, step)
            if len(running):
                np.multiply(sums, FOLLOW / samples, out=sums)
                np.multiply(running, 1 - FOLLOW, out=running)
                np.add(running, sums, out=running)

        return run

    def _accumulate(self, window: int) -> None:
        """Leave the sums of the gradients and of all that is counted of this rank's pieces in the message."""
        pieces = self.pieces(window)
        self.gradients.begin(len(pieces))
        for piece in pieces:
            plan = self.plan(piece.positions.length)
            start = perf_counter()
            self.fill(plan, piece)
            filled = perf_counter()
            plan.forward()
            turned = perf_counter()
            plan.backward(self.reduction.progress if len(pieces) == 1 else None)
            if self.timeline:
                self.timeline.step(start, filled, turned, perf_counter(), piece.shard)
            self.carried.after(plan, piece.positions)
            for place, name in self._counted:
                self._found[place] = plan.value[name]
            if self.model.count is None:
                self._found[COUNT] = piece.positions.length * self.model.targets
            self.gradients.add(self._found)
            self.world.heartbeat.beat()
            self.data_s += filled - start
            self.compute_s += perf_counter() - filled
        if self._exchange:
            self._join(self._batches(window).length - len(pieces))

    def fill(self, plan: Plan, piece: Shard) -> None:
        """Give a plan the samples of a micro-shard of this step, and what else it needs."""
        self.loader.fill(piece.positions, plan.value["x"], plan.value["y"])
        self.carried.before(plan, piece.positions)
        if "key" in plan.value:
            self._key[2] = piece.shard
            np.copyto(plan.value["key"], self._key)

    def _join(self, batches: int) -> None:
        """Take part in the sums that other ranks need in the step's last batches, of which this rank has nothing."""
        for _ in range(batches):
            for length in self.plan(1).messages:
                self._exchange(np.zeros(length, self.parameters.dtype))  # type: ignore[misc]

    def plan(self, length: int) -> Plan:
        """The training plan for ``length`` samples; all lengths share one pool of memory."""
        if length not in self._plans:
            self._plans[length] = self.model.training_plan(length, self.parameters, self._pool, self._exchange)
            if self.timeline:
                self.timeline.watch(self._plans[length])
        return self._plans[length]


def _segments(parameters: Parameters, part: slice) -> dict[str, slice]:
    """Where the trained parameters, or what of them is in ``part`` of the vectors, lie in that part."""
    found = {}
    for name in parameters.trained:
        start, stop = parameters.offsets[name], parameters.offsets[name] + parameters.value[name].size
        start, stop = max(start, part.start), min(stop, part.stop)
        if start < stop:
            found[name] = slice(start - part.start, stop - part.start)
    return found
