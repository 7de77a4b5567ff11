"""The launch itself: every rank sees the same world, and the ranks can add."""

from __future__ import annotations

import numpy as np
import pytest
from mpi4py import MPI


@pytest.mark.mpi
def test_every_rank_sees_the_same_world() -> None:
    world = MPI.COMM_WORLD
    assert world.allgather(world.size) == [world.size] * world.size
    assert world.allgather(world.rank) == list(range(world.size))


@pytest.mark.mpi
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_allreduce_adds_over_all_ranks(dtype: type[np.generic]) -> None:
    world = MPI.COMM_WORLD
    vector = np.full(1000, world.rank + 1, dtype)
    world.Allreduce(MPI.IN_PLACE, vector)
    assert np.all(vector == world.size * (world.size + 1) // 2)
