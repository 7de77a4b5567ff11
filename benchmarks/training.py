"""A training step of a model, as the benchmarks take it: by momentum, from samples in memory."""

from __future__ import annotations

from distnn.data.partition import Batching
from distnn.data.source import Source
from distnn.models import Model
from distnn.optim import SGD, Optimizer
from distnn.parallel.reduction.choose import choose_reduction
from distnn.parallel.reduction.gradients import tail_length
from distnn.parallel.world import World
from distnn.parameters import Memory
from distnn.train.step import Step
from distnn.train.timeline import Timeline
from distnn.train.update import ParameterUpdate

MOMENTUM = SGD(0.01, 0.9)


def training_step(
    model: Model,
    samples: Source,
    world: World,
    batching: Batching,
    optimizer: Optimizer = MOMENTUM,
    *,
    memory: Memory | None = None,
    reproducible: bool = False,
    bucket_mb: float | None = None,
    timeline: Timeline | None = None,
) -> Step:
    """The step; its parameters are in memory of each rank if none is given."""
    parameters = model.initialize(0, tail=tail_length(model.layout), minimum=world.comm.size, memory=memory)
    exact = batching.shards * batching.accumulate if reproducible else None
    reduction = choose_reduction(world.comm, parameters, model.layout, memory, exact=exact, bucket_mb=bucket_mb)
    update = ParameterUpdate(optimizer, parameters, memory)
    return Step(world, model, samples, reduction, update, batching, timeline=timeline)
