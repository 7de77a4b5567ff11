"""Buckets are sent in one order, as soon as they are complete, and sum what one Allreduce sums."""

from __future__ import annotations

import numpy as np
import pytest
from mpi4py import MPI

from distnn.config.sections import ParallelSettings
from distnn.parallel.communicator import Communicator
from distnn.parallel.reduction.allreduce import Buckets
from distnn.parameters import Parameters
from distnn.session.parts import BUCKET_MB, bucket_mb

pytestmark = pytest.mark.mpi
WORLD = Communicator(MPI.COMM_WORLD)
SHAPES = {"dense1.weight": (30, 20), "dense1.bias": (20,), "dense2.weight": (20, 5), "dense2.bias": (5,)}


def filled(value: int) -> Parameters:
    """Gradients and tail that hold nothing but this."""
    parameters = Parameters(SHAPES, np.float64, running={"norm1.mean": (20,)}, tail=8)
    parameters.message[:] = value
    return parameters


def test_pieces_are_whole_parameters_from_the_last_on_and_the_tail() -> None:
    parameters = filled(0)
    starts = [parameters.offsets[name] for name in SHAPES]
    rest = slice(parameters.trainable, len(parameters.message))
    assert Buckets(WORLD, parameters, 0).pieces == [
        *map(slice, reversed(starts), [parameters.trainable, *starts[:0:-1]]),
        rest,
    ]
    assert Buckets(WORLD, parameters, 8 * 100).pieces == [
        slice(starts[2], parameters.trainable),
        slice(0, starts[2]),
        rest,
    ]
    assert Buckets(WORLD, parameters, 1e9).pieces == [slice(0, parameters.trainable), rest]


@pytest.mark.parametrize("idle", [False, True], ids=["all ranks", "the last rank has no samples"])
def test_what_is_complete_is_sent_and_all_is_summed(*, idle: bool) -> None:
    parameters = filled(0)
    buckets = Buckets(WORLD, parameters, 8 * 100)
    for step in range(3):
        parameters.message[:] = -1.0  # what has not been computed yet
        parameters.message[parameters.length :] = step
        sent = []
        if not (idle and WORLD.rank == WORLD.size - 1):
            for name in reversed(SHAPES):
                parameters.gradient[name][...] = WORLD.rank + step
                buckets.progress([name, "norm1.mean"])
                sent.append(len(buckets._requests))
            assert sent == [0, 1, 1, 2]
        else:
            parameters.gradients[:] = WORLD.rank + step
        buckets.finish()
        total = sum(range(WORLD.size)) + WORLD.size * step
        for name in SHAPES:
            np.testing.assert_array_equal(parameters.gradient[name], total)
        np.testing.assert_array_equal(parameters.tail, WORLD.size * step)


def test_several_nodes_have_buckets() -> None:
    apart = Communicator(MPI.COMM_WORLD, MPI.COMM_WORLD.Split(WORLD.rank))
    assert bucket_mb(ParallelSettings(), WORLD) is None
    assert bucket_mb(ParallelSettings(), apart) == (BUCKET_MB if WORLD.size > 1 else None)
    assert bucket_mb(ParallelSettings(bucket_mb=0), apart) is None
    assert bucket_mb(ParallelSettings(bucket_mb=2.5), WORLD) == 2.5
