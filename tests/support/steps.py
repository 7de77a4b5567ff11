"""A training step of a model that is given as an object, without a run file."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from distnn.data.partition import Batching
from distnn.data.source import Source
from distnn.models import Model
from distnn.optim import Optimizer
from distnn.parallel.reduction.choose import choose_reduction
from distnn.parallel.reduction.gradients import tail_length
from distnn.parallel.world import World
from distnn.parameters import Memory
from distnn.train.step import Step
from distnn.train.update import ParameterUpdate


def step_of(
    model: Model,
    samples: Source,
    optimizer: Optimizer,
    world: World,
    batch_size: int,
    *,
    dtype: npt.DTypeLike = np.float64,
    memory: Memory | None = None,
    reproducible: bool = False,
    shards: int | None = None,
    accumulate: int = 1,
    seed: int = 0,
    **options: Any,
) -> Step:
    """The step, one micro-shard on each rank unless ``shards`` are given; ``options`` as for `Step`."""
    cut = Batching(batch_size, shards or world.comm.size, accumulate, seed=seed)
    parameters = model.initialize(0, dtype, tail=tail_length(model.layout), minimum=world.comm.size, memory=memory)
    exact = cut.shards * cut.accumulate if reproducible else None
    reduction = choose_reduction(world.comm, parameters, model.layout, memory, exact=exact)
    return Step(world, model, samples, reduction, ParameterUpdate(optimizer, parameters, memory), cut, **options)
