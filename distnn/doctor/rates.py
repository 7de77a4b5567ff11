"""The rates that `distnn plan` predicts from, measured on the ranks of this launch with all of them busy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import mean, median
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from distnn.arrays import Array
from distnn.data.file.hdf5 import DataFile
from distnn.data.loader import Loader
from distnn.data.order import shuffled
from distnn.doctor.facts import SIZES, allreduce, times
from distnn.models import Model
from distnn.ops.op import nothing
from distnn.optim import Optimizer
from distnn.parallel.communicator import Communicator
from distnn.parallel.memory import NodeMemory
from distnn.parallel.reduction.gradients import TAIL, Gradients
from distnn.parallel.reduction.node import Node
from distnn.parallel.threads import blas_threads
from distnn.parallel.world import World
from distnn.parameters import Parameters
from distnn.scaling.allreduce import Link, barrier, rabenseifner, recursive_doubling
from distnn.scaling.compute import Measured
from distnn.scaling.rates import Rates
from distnn.session.compiling import prepare
from distnn.session.parts import augmentation, optimizer
from distnn.train.step import Step

if TYPE_CHECKING:
    from distnn.config import RunSettings

Key = TypeVar("Key")

#: Seconds for each measurement, which is taken in turn with the others so many times.
SECONDS, ROUNDS = 0.1, 5
#: Samples are taken from so many bytes of the training split: more than a core's caches hold.
DRAWN = 64 * 1024**2
#: Lengths of micro-shards that are measured, at most; times between them are interpolated.
LENGTHS = 5


def measure_work(
    comm: Communicator,
    settings: RunSettings,
    file: DataFile,
    model: Model,
    *,
    lengths: Sequence[int],
    slices: Sequence[int],
    cores: int,
) -> Measured:
    """The times of this model's steps and updates, on every rank by itself and on all at the same time.

    The ranks meet after each step, as in training, where the slowest of every step counts, but sum nothing. Times are
    means, for what now and then holds up a rank holds up training, too; of several rounds the median is taken. The
    update is measured apart, and taken off the step.

    Arguments:
        comm: the ranks.
        settings, file, model: what is to be trained.
        lengths: of the micro-shards that are of interest.
        slices: the elements whose update is of interest.
        cores: of a node.
    """
    rule, exact = optimizer(settings), settings.parallel.reproducible
    parameters = model.initialize(settings.train.seed, settings.train.dtype, tail=TAIL)
    prepare(model, rule, parameters, comm, max(lengths), reproducible=exact)
    loader, whole = _drawn(settings, file, max(lengths)), parameters.trainable
    calls: dict[tuple[str, int], Callable[[], object]] = {("meeting", 0): comm.barrier}
    for length in _chosen(lengths):
        calls["step", length] = _Steps(_alone(settings, loader, model, parameters, length), comm)
    for length in {*slices, whole}:
        calls["update", length] = _update(rule, np.zeros(length, parameters.dtype))
    seconds = _in_turns(comm, calls)
    taken_off = seconds["meeting", 0] + seconds["update", whole]
    return Measured(
        {length: max(time - taken_off, 0.0) for (what, length), time in seconds.items() if what == "step"},
        {length: time for (what, length), time in seconds.items() if what == "update"},
        busy=comm.node().size,
        cores=cores / blas_threads.now.count,
    )


def _in_turns(comm: Communicator, calls: Mapping[Key, Callable[[], object]]) -> dict[Key, float]:
    """Seconds of each of these calls, on the slowest rank."""
    found: dict[Key, list[float]] = {key: [] for key in calls}
    for _ in range(ROUNDS):
        for key, call in calls.items():
            found[key].append(times(comm, call, SECONDS, mean))
    slowest = np.array([median(each) for each in found.values()])
    comm.maximum(slowest)
    return dict(zip(found, slowest.tolist(), strict=True))


class _Steps:
    """A call is the next step of an epoch over and over, without the last if that is a smaller one, and a meeting."""

    def __init__(self, step: Step, comm: Communicator) -> None:
        self._step, self._comm, self._number = step, comm, 0
        self._whole = len(step.loader) // step.batch_size

    def __call__(self) -> None:
        self._step.run(self._number % self._whole, 0.0, number=self._number)
        self._number += 1
        self._comm.barrier()


def _drawn(settings: RunSettings, file: DataFile, least: int) -> Loader:
    """Samples from the beginning of the training split, at least so many, in a random order."""
    count = min(file.count("train"), max(least, DRAWN // file.sample_bytes("train")))
    loader = Loader(*file.read("train", 0, count), file.scale, order=shuffled(count))
    loader.augmentation = augmentation(settings, file)
    return loader


def _alone(settings: RunSettings, loader: Loader, model: Model, parameters: Parameters, length: int) -> Step:
    """The training step of one micro-shard of so many samples, on a rank that is alone in the world."""
    return Step(
        model,
        parameters,
        loader,
        optimizer(settings),
        World.of(Communicator()),
        batch_size=length,
        clip_norm=settings.train.clip_norm,
        reproducible=settings.parallel.reproducible,
    )


def _update(rule: Optimizer, vector: Array):  # type: ignore[no-untyped-def]
    """The update of vectors as long as this one."""
    values, gradients = vector.copy(), vector.copy()
    slots = {name: vector.copy() for name in rule.slots}
    update = rule.bind(values, gradients, slots, {"weight": slice(0, len(vector))})
    return lambda: update(1.0, 1e-3, 0)


def _chosen(lengths: Sequence[int]) -> list[int]:
    """Those to be measured: the smallest, the largest, and what lies between them in about equal ratios."""
    if len(lengths) <= LENGTHS:
        return sorted(lengths)
    wished = np.geomspace(min(lengths), max(lengths), LENGTHS)
    return sorted({min(lengths, key=lambda length: abs(np.log(length / wish))) for wish in wished})


def measure_rates(comm: Communicator, rates: Rates, size: int) -> tuple[Rates, list[str]]:
    """``rates`` with what can be measured in its place, and what that is, in words.

    Within a node where one has several ranks, between nodes where there are several; every rank takes part.

    Arguments:
        comm: the ranks.
        rates: what stands for the rest.
        size: bytes that a step sums up.
    """
    done = []
    node, places = comm.node(), min(map(len, comm.nodes))
    if node.size > 1 and places > 1:
        rates = _within(node, rates, size)
        done.append(f"messages and memory on {node.size} ranks of a node")
    if len(comm.nodes) > 1:
        rates = _between(comm, rates, places)
        done.append(f"messages between {len(comm.nodes)} nodes")
    shared: tuple[Rates, list[str]] = comm.bcast((rates, done))
    return shared


def _within(node: Communicator, rates: Rates, size: int) -> Rates:
    """α and β of messages within the node, and the memory's speed in the sums of its slices."""
    rounds = [(allreduce(node, SIZES[0]), allreduce(node, SIZES[-1])) for _ in range(ROUNDS)]
    small, large = (median(each) for each in zip(*rounds, strict=True))
    link = fitted(node.size, small, large, 1 / rates.core)
    tiny, whole = _Sums(node, 16), _Sums(node, max(16, size // 4))
    meeting = median(times(node, tiny, SECONDS, mean) for _ in range(ROUNDS))
    summing = median(times(node, whole, SECONDS, mean) for _ in range(ROUNDS))
    # What a reduction of next to nothing takes beside its two meetings is its own bookkeeping, in Python.
    step = max(0.0, meeting - 2 * barrier(node.size, link))
    speed = (node.size + 1) * size / max(summing - meeting, 1e-7)
    return replace(
        rates,
        node_latency=link.latency,
        node_bandwidth=node.size / link.byte,
        step=step,
        memory=speed,
        cache=speed,
        core=max(rates.core, speed / node.size),
    )


class _Sums:
    """A call is a sum over the ranks of a node by slices in its memory, and both meetings; nothing is updated."""

    def __init__(self, node: Communicator, elements: int) -> None:
        memory = NodeMemory(node)
        parameters = Parameters({"weight": (elements,)}, tail=TAIL, memory=memory)
        self._reduction = Node(node, Gradients(parameters, memory), lambda part, total: lambda *_: nothing())

    def __call__(self) -> None:
        """The sum."""
        self._reduction.reduce()
        self._reduction.update(1.0, 0.0, 0, 1)


def _between(comm: Communicator, rates: Rates, places: int) -> Rates:
    """α and β of messages between nodes: by one rank of each, and the network's speed by all of them at once."""
    nodes, found = comm.nodes, []
    place = next(node.index(comm.rank) for node in nodes if comm.rank in node)
    for number in range(places):
        ranks = [node[number] for node in nodes]
        found += [Communicator(comm.among(ranks, tag=number))] if place == number else []
    group = found[0] if found else Communicator()
    alone = [allreduce(group, size) if place == 0 else 0.0 for size in (SIZES[0], SIZES[-1])]
    comm.barrier()
    together = allreduce(group, SIZES[-1])
    small, large, together = comm.bcast((*alone, together))
    link = fitted(len(nodes), small, large, 1 / rates.core)
    shared = fitted(len(nodes), small, together, 1 / rates.core)
    bandwidth = 1 / link.byte
    return replace(rates, latency=link.latency, bandwidth=bandwidth, network=max(bandwidth, places / shared.byte))


def fitted(ranks: int, small: float, large: float, add: float) -> Link:
    """The α and β with which the models give these seconds for the smallest and the largest of `SIZES`.

    A small vector goes by recursive doubling, a large one by Rabenseifner's algorithm; both are linear in α and β.
    """
    latency = small / recursive_doubling(ranks, 0, Link(1.0, 0.0, 0.0))
    without, unit = (rabenseifner(ranks, SIZES[-1], Link(latency, byte, add)) for byte in (0.0, 1.0))
    return Link(latency, max((large - without) / (unit - without), 1e-12), add)
