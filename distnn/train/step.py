"""One step: this rank's micro-shards forward and backward, one reduction over the ranks, one update."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

from distnn.data.partition import Batching, batch, batches
from distnn.data.source import Source
from distnn.errors import ShapeError
from distnn.models.model import Model
from distnn.ops.op import nothing
from distnn.parallel.reduction.gradients import Totals
from distnn.parallel.reduction.reduction import Reduction
from distnn.parallel.world import World
from distnn.sums import SAMPLES, Sums
from distnn.train.accumulate import Accumulation, Seconds
from distnn.train.carried import Carried
from distnn.train.timeline import Timeline
from distnn.train.update import ParameterUpdate


class StepResult(NamedTuple):
    """What a step came to, the same on every rank but for the seconds.

    Attributes:
        sums: over the step's samples of all ranks.
        stop, save: how many ranks wished to stop, and to save.
        bad: whether the loss or a gradient was infinite or NaN, so that nothing was updated.
        norm: of the mean gradient before clipping; 0 where nothing is clipped.
        spent: this rank's seconds.
    """

    sums: Sums
    stop: int
    save: int
    bad: bool
    norm: float
    spent: Seconds


class Step:
    """The data-parallel training step, bound once.

    Arguments:
        model: whose loss is minimised.
        source: the training samples.
        reduction: sums the gradients of its parameters over the ranks.
        update: of these parameters.
        batching: what a step is made of.
        clip_norm: the largest norm of the mean gradient; a larger one is scaled down to it (Pascanu, Mikolov and
            Bengio, On the difficulty of training recurrent neural networks, 2013). None doesn't clip.
        timeline: records where the time goes; None records nothing.

    Raises:
        ShapeError: if a micro-shard has too few samples to train on.

    Attributes:
        carried: the states of the streams.
    """

    def __init__(
        self,
        world: World,
        model: Model,
        source: Source,
        reduction: Reduction,
        update: ParameterUpdate,
        batching: Batching,
        *,
        clip_norm: float | None = None,
        timeline: Timeline | None = None,
    ) -> None:
        self.model, self.source, self.reduction, self.update = model, source, reduction, update
        self.batching, self.clip_norm, self.timeline = batching, clip_norm, timeline
        self._check()
        self.world, self.parameters = world, reduction.gradients.parameters
        self.carried = Carried(model, batching.batch_size if batching.streams else 0, self.parameters.dtype)
        self.accumulation = Accumulation(world.heartbeat, model, source, reduction, batching, self.carried, timeline)
        self._update = update.bind(reduction.part, reduction.values)

    def _check(self) -> None:
        """Refuse, before the first step, what the epoch's last batch, the smallest, would be too small for."""
        samples, (size, shards) = len(self.source), (self.batching.batch_size, self.batching.shards)
        last = batch(samples, size, batches(samples, size) - 1).length
        try:
            self.model.check(max(1, last // shards), last)
        except ShapeError as error:
            cut = f"{samples} training samples in batches of {size}, the last of {last}, cut into {shards} micro-shards"
            raise ShapeError(f"{error} (Here: {cut}.)").at("train", "batch_size") from None

    @property
    def windows(self) -> int:
        """The number of steps of an epoch."""
        return self.batching.steps(len(self.source))

    def run(
        self,
        window: int,
        learning_rate: float,
        stop: bool = False,
        number: int = 0,
        *,
        save: bool = False,
        before_reduction: Callable[[], object] = nothing,
    ) -> StepResult:
        """Train on the epoch's ``window``-th step, from 0.

        Arguments:
            stop: this rank's wish to stop, reported to all in the reduction.
            number: of the step in the whole run, from 0, which random ops are keyed to and optimisers count by.
            save: this rank's wish to save, reported to all likewise.
            before_reduction: called once this rank's gradient is there; until it returns, no rank updates anything.
        """
        self.world.heartbeat.beat(f"step {number + 1}")
        if window == 0:
            self.carried.reset()
        self.carried.mark()
        spent = Seconds()
        try:
            while True:
                self.accumulation.run(window, number, spent)
                if self.world.failures.elastic:
                    self.carried.spread(self.world.comm, self.batching.shards)
                self.reduction.gradients.close(stop, save, sent=self.reduction.progress is not None)
                before_reduction()
                totals = self._reduce(spent)
                if totals is not None:
                    break
                self.carried.rewind()
        except BaseException:
            self.carried.rewind()  # other ranks than these may do the step again
            raise
        totals.sums.vector[SAMPLES] = self.batching.samples(len(self.source), window)
        bad = bool(totals.bad) or not math.isfinite(totals.sums.loss)
        norm = 0.0 if bad else self._apply(totals, learning_rate, number, spent)
        return StepResult(totals.sums, totals.stop, totals.save, bad, norm, spent)

    def _reduce(self, spent: Seconds) -> Totals | None:
        """Sum the message over the ranks; None if the step has to be computed again."""
        start = perf_counter()
        totals = self.reduction.reduce()
        self.world.failures.confirm()
        end = perf_counter()
        spent.comm += end - start
        if self.timeline:
            self.timeline.add("reduce", start, end)
        return totals

    def _apply(self, totals: Totals, learning_rate: float, number: int, spent: Seconds) -> float:
        """Update by the mean gradient, clipped to ``clip_norm``; its norm, where that is asked for."""
        start = perf_counter()
        norm, weight = 0.0, totals.sums.weight
        scale = 1 / weight if weight else 0.0  # 0: not one of the step's targets counts, and its gradient is 0
        if self.clip_norm is not None and weight:
            norm = scale * self.reduction.norm()
            if norm > self.clip_norm:
                scale *= self.clip_norm / norm
        self._update(scale, learning_rate, number, totals.sums.samples)
        self.reduction.finish()
        end = perf_counter()
        spent.compute += end - start
        if self.timeline:
            self.timeline.add("update", start, end, facts=f"step {number + 1}")
        return norm
