"""Which sum over the ranks fits a run: by Allreduce or by nodes, in floating or in fixed point."""

from __future__ import annotations

from distnn.parallel.communicator import Communicator
from distnn.parallel.reduction.allreduce import Allreduce
from distnn.parallel.reduction.fixed_point import FixedGradients
from distnn.parallel.reduction.gradients import Gradients
from distnn.parallel.reduction.node import NodeReduction
from distnn.parallel.reduction.reduction import GradientSum, Reduction
from distnn.parameters import Memory, Parameters, PrivateMemory
from distnn.sums import Layout


def choose_reduction(
    comm: Communicator,
    parameters: Parameters,
    layout: Layout,
    memory: Memory | None = None,
    *,
    exact: int | None = None,
    bucket_mb: float | None = None,
) -> Reduction:
    """By slices where the parameters are in memory that the ranks of a node share, else by Allreduce.

    Arguments:
        comm: the ranks.
        parameters: with a tail of `distnn.parallel.reduction.gradients.tail_length` elements.
        layout: of the sums over samples.
        memory: what ``parameters`` live in; of this process if None.
        exact: the micro-shards of a step, to sum them in fixed point: the same bits on any number of ranks.
        bucket_mb: as for `Allreduce`, which alone has buckets.
    """
    memory = memory or PrivateMemory()
    gradients: GradientSum = (
        FixedGradients(parameters, memory, layout, exact, comm.size) if exact else Gradients(parameters, memory, layout)
    )
    return Allreduce(comm, gradients, bucket_mb) if gradients.rows is None else NodeReduction(comm, gradients)
