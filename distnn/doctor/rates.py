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
from distnn.data.partition import Batching
from distnn.doctor.facts import SIZES, allreduce, times
from distnn.models import Model
from distnn.optim import Optimizer
from distnn.parallel.memory import NodeMemory
from distnn.parallel.reduction.choose import choose_reduction
from distnn.parallel.reduction.gradients import Gradients, tail_length
from distnn.parallel.reduction.node import NodeReduction
from distnn.parallel.world import World
from distnn.parameters import Parameters
from distnn.scaling.allreduce import Link, barrier, rabenseifner, recursive_doubling
from distnn.scaling.compute import Measured
from distnn.scaling.rates import Rates
from distnn.session.compiling import prepare
from distnn.session.parts import augmentation, optimizer
from distnn.sums import Layout
from distnn.train.step import Step
from distnn.train.update import ParameterUpdate

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
    world: World,
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
        world: the ranks.
        settings, file, model: what is to be trained.
        lengths: of the micro-shards that are of interest.
        slices: the elements whose update is of interest.
        cores: of a node.
    """
    rule, exact = optimizer(settings), settings.parallel.reproducible
    parameters = model.initialize(settings.train.seed, settings.train.dtype, tail=tail_length(model.layout))
    prepare(model, rule, parameters, world, max(lengths), reproducible=exact)
    loader, whole = _drawn(settings, file, max(lengths)), parameters.trainable
    calls: dict[tuple[str, int], Callable[[], object]] = {("meeting", 0): world.barrier}
    for length in _chosen(lengths):
        calls["step", length] = _Steps(_alone(settings, loader, model, parameters, length), world)
    for length in {*slices, whole}:
        calls["update", length] = _update(rule, np.zeros(length, parameters.dtype))
    seconds = _in_turns(world, calls)
    taken_off = seconds["meeting", 0] + seconds["update", whole]
    return Measured(
        {length: max(time - taken_off, 0.0) for (what, length), time in seconds.items() if what == "step"},
        {length: time for (what, length), time in seconds.items() if what == "update"},
        busy=world.node().size,
        cores=cores / world.threads.count,
    )


def _in_turns(world: World, calls: Mapping[Key, Callable[[], object]]) -> dict[Key, float]:
    """Seconds of each of these calls, on the slowest rank."""
    seconds: dict[Key, list[float]] = {key: [] for key in calls}
    for _ in range(ROUNDS):
        for key, call in calls.items():
            seconds[key].append(times(world, call, SECONDS, mean))
    slowest = np.array([median(each) for each in seconds.values()])
    world.maximum(slowest)
    return dict(zip(seconds, slowest.tolist(), strict=True))


class _Steps:
    """A call is the next step of an epoch over and over, without the last if that is a smaller one, and a meeting."""

    def __init__(self, step: Step, world: World) -> None:
        self._step, self._world, self._number = step, world, 0
        self._whole = len(step.source) // step.batching.batch_size

    def __call__(self) -> None:
        self._step.run(self._number % self._whole, 0.0, number=self._number)
        self._number += 1
        self._world.barrier()


def _drawn(settings: RunSettings, file: DataFile, least: int) -> Loader:
    """Samples from the beginning of the training split, at least so many, in a random order."""
    count = min(file.count("train"), max(least, DRAWN // file.sample_bytes("train")))
    return Loader(*file.read("train", 0, count), file.scale, augmentation(settings, file), shuffled(count))


def _alone(settings: RunSettings, loader: Loader, model: Model, parameters: Parameters, length: int) -> Step:
    """The training step of one micro-shard of so many samples, on a rank that is alone in the world."""
    exact = 1 if settings.parallel.reproducible else None
    reduction = choose_reduction(World(), parameters, model.layout, exact=exact)
    update, batching = ParameterUpdate(optimizer(settings), parameters), Batching(length, 1)
    return Step(model, loader, reduction, update, batching, clip_norm=settings.train.clip_norm)


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


def measure_rates(world: World, rates: Rates, size: int) -> tuple[Rates, list[str]]:
    """``rates`` with what can be measured in its place, and what that is, in words.

    Within a node where one has several ranks, between nodes where there are several; every rank takes part.

    Arguments:
        world: the ranks.
        rates: what stands for the rest.
        size: bytes that a step sums up.
    """
    done = []
    node, places = world.node(), min(map(len, world.nodes))
    if node.size > 1 and places > 1:
        rates = _within(node, rates, size)
        done.append(f"messages and memory on {node.size} ranks of a node")
    if len(world.nodes) > 1:
        rates = _between(world, rates, places)
        done.append(f"messages between {len(world.nodes)} nodes")
    shared: tuple[Rates, list[str]] = world.bcast((rates, done))
    return shared


def _within(node: World, rates: Rates, size: int) -> Rates:
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

    def __init__(self, node: World, elements: int) -> None:
        memory = NodeMemory(node)
        layout = Layout({"loss": 1})
        parameters = Parameters({"weight": (elements,)}, tail=tail_length(layout), memory=memory)
        self._reduction = NodeReduction(node, Gradients(parameters, memory, layout))

    def __call__(self) -> None:
        """The sum."""
        self._reduction.reduce()
        self._reduction.finish()


def _between(world: World, rates: Rates, places: int) -> Rates:
    """α and β of messages between nodes: by one rank of each, and the network's speed by all of them at once."""
    nodes, groups = world.nodes, []
    place = next(node.index(world.rank) for node in nodes if world.rank in node)
    for number in range(places):
        ranks = [node[number] for node in nodes]
        groups += [World(world.among(ranks, tag=number))] if place == number else []
    group = groups[0] if groups else World()
    alone = [allreduce(group, size) if place == 0 else 0.0 for size in (SIZES[0], SIZES[-1])]
    world.barrier()
    together = allreduce(group, SIZES[-1])
    small, large, together = world.bcast((*alone, together))
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
