"""Evaluation and prediction, spread over the ranks: each sample is counted exactly once, whoever counts it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from distnn.data.hdf5 import DataFile
from distnn.data.loader import Loader
from distnn.data.partition import Range, batch, batches, part
from distnn.graph.memory import Pool
from distnn.graph.plan import Plan
from distnn.models.model import SUMS, Model
from distnn.ops.op import Array
from distnn.parallel.world import World
from distnn.parameters import Parameters

#: Samples of one forward: enough for a matrix product to run at full speed, few enough to stay in a core's cache.
BATCH = 256


@dataclass(frozen=True)
class Result:
    """Means over a split, per target that counts; ``accuracy`` is None for a regression."""

    loss: float
    accuracy: float | None
    samples: int
    seconds: float


class Evaluator:
    """The loss and accuracy of a split.

    Arguments:
        model, parameters: what is evaluated, as the parameters stand when `run` is called.
        file: the data file; this rank reads its piece of the split once.
        split: train, validation or test.
        world: the ranks.
    """

    def __init__(self, model: Model, parameters: Parameters, file: DataFile, split: str, world: World) -> None:
        self.split, self.world = split, world
        piece = part(file.count(split), world.size, world.rank)
        self.loader = Loader.read(file, split, piece) if piece.length else None
        self._model, self._parameters, self._pool = model, parameters, Pool()
        self._plans: dict[int, Plan] = {}

    def run(self) -> Result:
        """Evaluate; every rank gets the same result."""
        start = perf_counter()
        totals = np.zeros(1 + len(SUMS))
        for positions in _batches(len(self.loader) if self.loader is not None else 0):
            plan = self._plan(positions.length)
            assert self.loader is not None
            self.loader.fill(positions, plan.value["x"], plan.value["y"])
            plan.forward()
            totals += [positions.length, *(float(plan.value[name]) if name in plan.value else 0.0 for name in SUMS)]
        self.world.allreduce(totals)
        samples, loss, correct, weight, count = totals.tolist()
        model = self._model
        count = samples * model.targets if model.count is None else count
        weight = count if model.weight is None else weight
        accuracy = None if model.correct is None else correct / (count or 1)
        return Result(loss / (weight or 1), accuracy, int(samples), perf_counter() - start)

    def _plan(self, length: int) -> Plan:
        if length not in self._plans:
            self._plans[length] = self._model.evaluation_plan(length, self._parameters, self._pool)
        return self._plans[length]


def _batches(samples: int) -> Iterator[Range]:
    for index in range(batches(samples, BATCH)):
        yield batch(samples, BATCH, index)


def predict(model: Model, parameters: Parameters, loader: Loader) -> Array:
    """The model's predictions for a loader's samples: class probabilities (N, C), or (N, 1) for two classes of one
    logit; for regression the outputs.
    """
    pool = Pool()
    plans: dict[int, Plan] = {}
    results: list[Array] = []
    for positions in _batches(len(loader)):
        if positions.length not in plans:
            plans[positions.length] = model.prediction_plan(positions.length, parameters, pool)
        plan = plans[positions.length]
        loader.fill(positions, plan.value["x"], None)
        plan.forward()
        results.append(plan.value["prediction"].copy())
    return np.concatenate(results)
