"""Evaluation and prediction, spread over the ranks: each sample is counted exactly once, whoever counts it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from distnn.arrays import Array
from distnn.data import DataFile
from distnn.data.order import side_by_side
from distnn.data.partition import Range, batch, batches, part
from distnn.data.source import Source
from distnn.data.stream import block_length, source
from distnn.errors import DataError
from distnn.graph.memory import BufferPool
from distnn.metrics import Metric, Value
from distnn.models.model import Model
from distnn.ops.op import nothing
from distnn.parallel.world import World
from distnn.parameters import Parameters
from distnn.sums import Sums
from distnn.train.carried import Carried

#: Samples of one forward at most: enough for a matrix product to run at full speed, few enough to stay in a core's
#: cache; and at least, for a split that is to be shared out over many ranks.
BATCH, LEAST = 256, 32
#: Into how many chunks a split is cut at least, as long as they don't fall below `LEAST`.
CHUNKS = 64
#: How many numbers the samples of one forward have at most, unless one has more: large images need memory.
NUMBERS = 2**23
#: How many streams of text a split is read as. Each begins from the state 0, so few cost little; each is read in order,
#: so more are faster.
STREAMS = 64


class Evaluator:
    """Evaluates a split, with the same bits whatever the number of ranks.

    A split is evaluated in chunks of up to `BATCH` samples, of which each rank has a contiguous range; a chunk's sums
    belong to the chunk, and are added up in the order of the chunks. A language model with states reads the split as
    `STREAMS` streams, along which they are carried from sequence to sequence; there a chunk is a group of streams. Each
    sample, and each token, is counted once.

    Arguments:
        model, parameters: what is evaluated, as the parameters stand when `run` is called.
        file: the data file; this rank reads its piece of the split once.
        groups: into which the streams are divided; one for each rank if None, so that the bits depend on their number.
        in_memory: False reads the split anew at each `run`.
        metrics: what is computed besides the sums.

    Attributes:
        values: the metrics of the last `run`, by name; the same on every rank.

    Raises:
        UsageError: if the metrics don't fit the model.
    """

    def __init__(
        self,
        model: Model,
        parameters: Parameters,
        file: DataFile,
        split: str,
        world: World,
        groups: int | None = None,
        *,
        in_memory: bool = True,
        metrics: Sequence[Metric] = (),
    ) -> None:
        self.split, self.world, self._path = split, world, file.path
        self._model, self._parameters = model, parameters
        self._metrics = model.metrics(metrics) if metrics else None
        self.values: dict[str, Value] = {}
        predicts = self._metrics is not None
        self._plan = cache(partial(model.evaluation_plan, parameters=parameters, pool=BufferPool(), predicts=predicts))
        self._sums = model.layout.zeros().vector
        samples = file.count(split)
        streams, length = min(STREAMS, samples), chunk(samples, file.sample_shape)
        self._chunks = min(groups or world.comm.size, streams) if model.states else batches(samples, length)
        mine = part(self._chunks, world.comm.size, world.comm.rank)
        if model.states:
            self._readers = [self._stream(file, streams, group, in_memory=in_memory) for group in range(*mine)]
        else:
            piece = Range(*(min(edge * length, samples) for edge in mine))
            reader, nothing = source(file, split, piece, in_memory=in_memory), Carried(model, 0, parameters.dtype)
            self._readers = [_Reader(reader, [positions], nothing) for positions in _batches(len(reader), length)]
        self._first = mine.start
        self._sources = list({id(reader.source): reader.source for reader in self._readers}.values())

    def _stream(self, file: DataFile, streams: int, group: int, *, in_memory: bool) -> _Reader:
        """The chunk that is this group of the streams which a text is divided into."""
        inside = part(streams, self._chunks, group)
        piece = Range(*(part(file.count(self.split), streams, edge).start for edge in inside))
        block = None if in_memory else block_length(file, self.split)
        order = side_by_side(piece.length, inside.length, block)
        return _Reader(
            source(file, self.split, piece, order, in_memory=in_memory),
            list(_batches(piece.length, inside.length)),
            Carried(self._model, inside.length, self._parameters.dtype),
        )

    def run(self) -> Sums:
        """The sums over the split; every rank gets the same ones.

        Raises:
            DataError: on every rank, if not one target counts, so that there is nothing to tell.
        """
        layout = self._model.layout
        totals = np.zeros((self._chunks, layout.length))
        exact, merged = self._metrics.lengths if self._metrics else (0, 0)
        counts, others = np.zeros(exact), np.zeros((self._chunks, merged))
        self.world.heartbeat.beat(f"the evaluation of {self.split}")
        for row, reader in enumerate(self._readers, self._first):
            self._evaluate(reader, totals[row], counts, others[row])
            self.world.heartbeat.beat()
        for each in self._sources:
            each.begin(0, 0)  # nothing more is read ahead
        self.world.comm.allreduce(totals)  # each row is added to zeros only
        if self._metrics:
            self.world.comm.allreduce(others)  # likewise
            self.world.comm.allreduce(counts)
        self.world.failures.confirm()
        sums = Sums(layout, np.add.reduce(totals, axis=0))
        if sums.weight == 0:
            raise DataError(
                f"{self._path}: not one target of {self.split} counts, so there is neither a loss nor an accuracy: "
                f"masks or weights of 0, class weights of 0, or the ignored label leave out all. Correct these, "
                f"or leave the split out."
            )
        if self._metrics:
            self.values = self._metrics.values(counts, self._metrics.others.merged(others))
        return sums

    def close(self) -> None:
        """Let go of the file, if it is read anew each time."""
        for each in self._sources:
            each.close()

    def _evaluate(self, reader: _Reader, totals: Array, counts: Array, others: Array) -> None:
        """Add a chunk's sums to its totals, and its statistics to those of this rank and of the chunk."""
        reader.carried.reset()
        for positions in reader.batches:
            plan = self._plan(positions.length)
            inputs = self._model.inputs(plan)
            reader.source.fill(positions, inputs)
            reader.carried.before(plan, positions)
            targets = self._targets(reader.source, positions, inputs) if self._metrics else []
            plan.forward()
            reader.carried.after(plan, positions)
            self._model.layout.read(plan.value, positions.length, self._sums)
            totals += self._sums
            if self._metrics:
                predictions = reader.source.inverted("y", plan.value["prediction"])
                self._metrics.add(counts, others, predictions, *targets)

    def _targets(self, source: Source, positions: Range, inputs: Mapping[str, Array]) -> list[Array]:
        """Targets, in their own units, and weights; copies, for a plan uses their memory anew."""
        copies = {name: array.copy() for name, array in inputs.items() if name != "x"}
        shape = source.stored_shape("y")
        if shape is not None:
            copies["y"] = np.empty((positions.length, *shape))
            source.fill(positions, copies, stored=True)
        return list(copies.values())


class _Reader(NamedTuple):
    """A chunk: its batches, in their order, and what is carried from one to the next."""

    source: Source
    batches: list[Range]
    carried: Carried


def chunk(samples: int, shape: Sequence[int]) -> int:
    """How many samples of a split, each of a shape, are computed together, whatever the number of ranks."""
    return min(BATCH, max(LEAST, samples // CHUNKS), max(1, NUMBERS // math.prod(shape)))


def _batches(samples: int, size: int) -> Iterator[Range]:
    for index in range(batches(samples, size)):
        yield batch(samples, size, index)


def predict(
    model: Model, parameters: Parameters, samples: Source, size: int = BATCH, *, beat: Callable[[], object] = nothing
) -> Array:
    """The model's predictions for samples, ``size`` at a time.

    They are class probabilities (N, C), or (N, 1) for two classes of one logit; for a segmentation those of each pixel
    (N, H, W, C); for regression the outputs, in the targets' own units; for a language the next token's probabilities
    (N, T, C), where each sequence begins from the state 0. ``beat`` is called after each batch.
    """
    made = cache(partial(model.prediction_plan, parameters=parameters, pool=BufferPool()))
    nothing, results = Carried(model, 0, parameters.dtype), list[Array]()
    for positions in _batches(len(samples), size):
        plan = made(positions.length)
        samples.fill(positions, {"x": plan.value["x"]})
        nothing.before(plan, positions)
        plan.forward()
        results.append(np.array(samples.inverted("y", plan.value["prediction"])))
        beat()
    return np.concatenate(results)
