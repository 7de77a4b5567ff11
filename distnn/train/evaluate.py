"""Evaluation and prediction, spread over the ranks: each sample is counted exactly once, whoever counts it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from distnn.data.hdf5 import DataFile
from distnn.data.loader import Loader, permutation
from distnn.data.partition import Range, batch, batches, part
from distnn.graph.memory import Pool
from distnn.graph.plan import Plan
from distnn.models.model import SUMS, Model
from distnn.ops.op import Array
from distnn.parallel.world import World
from distnn.parameters import Parameters
from distnn.train.carried import Carried

#: Samples of one forward: enough for a matrix product to run at full speed, few enough to stay in a core's cache.
BATCH = 256
#: How many streams of text a split is read as. Each begins from the state 0, so few cost little; each is read in order,
#: so more are faster.
STREAMS = 64


@dataclass(frozen=True)
class Result:
    """Means over a split, per target that counts; ``accuracy`` is None for a regression, ``bits`` as in `bits`."""

    loss: float
    accuracy: float | None
    samples: int
    seconds: float
    bits: float | None = None


def bits(model: Model, loss: float) -> float | None:
    """A language model's loss per token in bits, loss / ln 2; None for other models, and losses that aren't in bits."""
    return loss / math.log(2) if model.in_bits else None


class Evaluator:
    """The loss and accuracy of a split.

    A language model with states reads the split as `STREAMS` streams, along which they are carried from sequence to
    sequence; each token is counted once. The streams are shared out over the ranks, but don't depend on their number.

    Arguments:
        model, parameters: what is evaluated, as the parameters stand when `run` is called.
        file: the data file; this rank reads its piece of the split once.
        split: train, validation or test.
        world: the ranks.
    """

    def __init__(self, model: Model, parameters: Parameters, file: DataFile, split: str, world: World) -> None:
        self.split, self.world = split, world
        samples = file.count(split)
        streams = min(STREAMS, samples) if model.states else samples
        mine = part(streams, world.size, world.rank)
        piece = Range(*(part(samples, streams, edge).start for edge in mine))
        self.loader = Loader.read(file, split, piece) if piece.length else None
        self._carried = Carried(model, mine.length, parameters.dtype)
        if self.loader is not None and self._carried.streams:
            self.loader.order = permutation(len(self.loader), 0, 0, streams=mine.length)
        self._model, self._parameters, self._pool = model, parameters, Pool()
        self._plans: dict[int, Plan] = {}

    def run(self) -> Result:
        """Evaluate; every rank gets the same result."""
        start = perf_counter()
        totals = np.zeros(1 + len(SUMS))
        self._carried.reset()
        for positions in _batches(len(self.loader) if self.loader is not None else 0, self._carried.streams or BATCH):
            plan = self._plan(positions.length)
            assert self.loader is not None
            self.loader.fill(positions, plan.value["x"], plan.value["y"])
            self._carried.before(plan, positions)
            plan.forward()
            self._carried.after(plan, positions)
            totals += [positions.length, *(float(plan.value[name]) if name in plan.value else 0.0 for name in SUMS)]
        self.world.allreduce(totals)
        samples, loss, correct, weight, count = totals.tolist()
        model = self._model
        count = samples * model.targets if model.count is None else count
        weight = count if model.weight is None else weight
        accuracy = None if model.correct is None else correct / (count or 1)
        mean = loss / (weight or 1)
        return Result(mean, accuracy, int(samples), perf_counter() - start, bits(model, mean))

    def _plan(self, length: int) -> Plan:
        if length not in self._plans:
            self._plans[length] = self._model.evaluation_plan(length, self._parameters, self._pool)
        return self._plans[length]


def _batches(samples: int, size: int = BATCH) -> Iterator[Range]:
    for index in range(batches(samples, size)):
        yield batch(samples, size, index)


def predict(model: Model, parameters: Parameters, loader: Loader) -> Array:
    """The model's predictions for a loader's samples: class probabilities (N, C), or (N, 1) for two classes of one
    logit; for regression the outputs; for a language the next token's probabilities (N, T, C), where each sequence
    begins from the state 0.
    """
    pool, nothing = Pool(), Carried(model, 0, parameters.dtype)
    plans: dict[int, Plan] = {}
    results: list[Array] = []
    for positions in _batches(len(loader)):
        if positions.length not in plans:
            plans[positions.length] = model.prediction_plan(positions.length, parameters, pool)
        plan = plans[positions.length]
        loader.fill(positions, plan.value["x"], None)
        nothing.before(plan, positions)
        plan.forward()
        results.append(plan.value["prediction"].copy())
    return np.concatenate(results)
