"""Measures the rates from which `distnn plan` predicts, on the ranks of this launch with all of them busy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from statistics import mean, median
from typing import TypeVar

import numpy as np

from distnn.arrays import Array
from distnn.config import RunSettings
from distnn.data import DataFile
from distnn.data.loader import Loader
from distnn.data.order import shuffled
from distnn.data.partition import Batching
from distnn.doctor.facts import SIZES, allreduce, times
from distnn.models import Model
from distnn.optim import Optimizer
from distnn.parallel.communicator import Communicator
from distnn.parallel.memory import NodeMemory
from distnn.parallel.reduction.choose import choose_reduction
from distnn.parallel.reduction.gradients import Gradients, tail_length
from distnn.parallel.reduction.node import NodeReduction
from distnn.parallel.threads import blas_threads
from distnn.parallel.world import World
from distnn.parameters import Parameters
from distnn.scaling.compute import Measured
from distnn.scaling.rates import Link, Rates
from distnn.scaling.reduction import barrier, rabenseifner, recursive_doubling
from distnn.session.compiling import prepare
from distnn.session.parts import augmentation
from distnn.sums import Layout
from distnn.train.step import Step
from distnn.train.update import ParameterUpdate

Key = TypeVar("Key")

#: Seconds for each measurement, and how many rounds of all measurements are taken.
SECONDS, ROUNDS = 0.1, 5
#: The bytes of the training split from which samples are taken: more than the caches of a core hold.
DRAWN = 64 * 1024**2
#: The largest number of micro-shard lengths to measure; times between them are interpolated.
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
    """The times of this model's steps and updates, which all ranks compute at the same time, each on its own.

    A barrier follows each step, since in training the slowest rank of every step counts; nothing is summed. Each time
    is a mean, because occasional delays of a rank delay training too; the median of several rounds is taken. The update
    is measured separately, and subtracted from the step. ``lengths`` are those of the micro-shards that may occur,
    ``slices`` the numbers of elements whose update to measure, ``cores`` those of a node.
    """
    comm = world.comm
    world.heartbeat.beat("the measurements")
    rule, exact = settings.optimizer.make(), settings.parallel.reproducible
    parameters = model.initialize(settings.train.seed, settings.train.dtype, tail=tail_length(model.layout))
    prepare(model, rule, parameters, comm, max(lengths), reproducible=exact)
    loader, whole = _drawn(settings, file, max(lengths)), parameters.trainable
    calls: dict[tuple[str, int], Callable[[], object]] = {("barrier", 0): comm.barrier}
    for length in _chosen(lengths):
        calls["step", length] = _steps(_alone(settings, loader, model, parameters, length), comm)
    for length in {*slices, whole}:
        calls["update", length] = _update(rule, np.zeros(length, parameters.dtype))
    seconds = _in_turns(world, calls)
    extra = seconds["barrier", 0] + seconds["update", whole]
    return Measured(
        {length: max(time - extra, 0.0) for (what, length), time in seconds.items() if what == "step"},
        {length: time for (what, length), time in seconds.items() if what == "update"},
        busy=comm.node().size,
        cores=cores / blas_threads.now.count,
    )


def _in_turns(world: World, calls: Mapping[Key, Callable[[], object]]) -> dict[Key, float]:
    """Seconds of each of these calls, on the slowest rank."""
    seconds: dict[Key, list[float]] = {key: [] for key in calls}
    for _ in range(ROUNDS):
        for key, call in calls.items():
            seconds[key].append(times(world.comm, call, SECONDS, mean))
            world.heartbeat.beat()
    slowest = np.array([median(each) for each in seconds.values()])
    world.comm.maximum(slowest)
    return dict(zip(seconds, slowest.tolist(), strict=True))


def _steps(step: Step, comm: Communicator) -> Callable[[], object]:
    """A function that runs the step of the next full batch, round the epoch again and again, and then a barrier."""
    whole, numbers = len(step.source) // step.batching.batch_size, count()

    def run() -> None:
        number = next(numbers)
        step.run(number % whole, 0.0, number=number)
        comm.barrier()

    return run


def _drawn(settings: RunSettings, file: DataFile, least: int) -> Loader:
    """At least ``least`` samples from the beginning of the training split, in a random order."""
    samples = min(file.count("train"), max(least, DRAWN // file.sample_bytes("train")))
    return Loader(file.read_fields("train", 0, samples), file.scale, augmentation(settings, file), shuffled(samples))


def _alone(settings: RunSettings, loader: Loader, model: Model, parameters: Parameters, length: int) -> Step:
    """The training step of one micro-shard of ``length`` samples, on a world of one rank."""
    exact, world = 1 if settings.parallel.reproducible else None, World.of(Communicator())
    reduction = choose_reduction(world.comm, parameters, model.layout, exact=exact)
    update, batching = ParameterUpdate(settings.optimizer.make(), parameters), Batching(length, 1)
    return Step(world, model, loader, reduction, update, batching, clip_norm=settings.train.clip_norm)


def _update(rule: Optimizer, vector: Array) -> Callable[[], object]:
    """A function that updates vectors as long as this one."""
    values, gradients = vector.copy(), vector.copy()
    slots = {name: vector.copy() for name in rule.slots}
    update = rule.bind(values, gradients, slots, {"weight": slice(0, len(vector))})
    return lambda: update(1.0, 1e-3, 0)


def _chosen(lengths: Sequence[int]) -> list[int]:
    """The lengths to measure: the smallest, the largest, and some between them in about equal ratios."""
    if len(lengths) <= LENGTHS:
        return sorted(lengths)
    wished = np.geomspace(min(lengths), max(lengths), LENGTHS)
    return sorted({min(lengths, key=lambda length: abs(np.log(length / wish))) for wish in wished})


def measure_rates(world: World, rates: Rates, size: int) -> tuple[Rates, list[str]]:
    """``rates`` with measured values where this launch can measure them, and a description of what was measured.

    Messages within a node are measured if it has several ranks, those between nodes if there are several nodes. A step
    sums ``size`` bytes. Every rank must call it.
    """
    done, comm = [], world.comm
    world.heartbeat.beat()
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
    """α and β of messages within the node, and the speed of its memory when slices are summed."""
    rounds = [(allreduce(node, SIZES[0]), allreduce(node, SIZES[-1])) for _ in range(ROUNDS)]
    small, large = (median(each) for each in zip(*rounds, strict=True))
    link = fitted(node.size, small, large, 1 / rates.core)
    sums = [_sums(node, elements) for elements in (16, max(16, size // 4))]
    empty, summing = (median(times(node, each, SECONDS, mean) for _ in range(ROUNDS)) for each in sums)
    # Summing next to nothing takes two barriers, and the bookkeeping in Python.
    step = max(0.0, empty - 2 * barrier(node.size, link))
    speed = (node.size + 1) * size / max(summing - empty, 1e-7)
    return replace(
        rates,
        node_latency=link.latency,
        node_bandwidth=node.size / link.byte,
        step=step,
        memory=speed,
        cache=speed,
        core=max(rates.core, speed / node.size),
    )


def _sums(node: Communicator, elements: int) -> Callable[[], object]:
    """A function that sums over the ranks of a node by slices in its memory, with both barriers, without an update."""
    memory, layout = NodeMemory(node), Layout({"loss": 1})
    parameters = Parameters({"weight": (elements,)}, tail=tail_length(layout), memory=memory)
    reduction = NodeReduction(node, Gradients(parameters, memory, layout))

    def run() -> None:
        reduction.reduce()
        reduction.finish()

    return run


def _between(comm: Communicator, rates: Rates, places: int) -> Rates:
    """α and β of messages between nodes, from one rank of each, and the network's speed, from all of them at once."""
    nodes = comm.nodes
    place = next(node.index(comm.rank) for node in nodes if comm.rank in node)
    group = comm.among([node[place] for node in nodes], tag=place) if place < places else Communicator()
    alone = [allreduce(group, size) if place == 0 else 0.0 for size in (SIZES[0], SIZES[-1])]
    comm.barrier()
    together = allreduce(group, SIZES[-1])
    small, large, together = comm.bcast((*alone, together))
    link = fitted(len(nodes), small, large, 1 / rates.core)
    shared = fitted(len(nodes), small, together, 1 / rates.core)
    bandwidth = 1 / link.byte
    return replace(rates, latency=link.latency, bandwidth=bandwidth, network=max(bandwidth, places / shared.byte))


def fitted(ranks: int, small: float, large: float, add: float) -> Link:
    """The α and β with which the models predict these seconds for the smallest and the largest of `SIZES`.

    A small vector is summed by recursive doubling, a large one by Rabenseifner's algorithm; both are linear in α and β.
    """
    latency = small / recursive_doubling(ranks, 0, Link(1.0, 0.0, 0.0))
    without, unit = (rabenseifner(ranks, SIZES[-1], Link(latency, byte, add)) for byte in (0.0, 1.0))
    return Link(latency, max((large - without) / (unit - without), 1e-12), add)
