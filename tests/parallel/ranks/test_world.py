"""What the ranks say to each other: sums, values and errors reach every rank, in any communicator."""

from __future__ import annotations

import os
import socket
from typing import Any

import numpy as np
import pytest
import threadpoolctl
from mpi4py import MPI

import distnn
from distnn import runtime
from distnn.errors import DataError
from distnn.parallel.launch import library_name
from distnn.parallel.world import World

pytestmark = pytest.mark.mpi

COMM = MPI.COMM_WORLD


@pytest.fixture(scope="module")
def world() -> World:
    return World.open()


def test_it_is_the_world_of_all_ranks(world: World) -> None:
    assert (world.rank, world.size) == (COMM.rank, COMM.size)
    assert world.hosts == COMM.allgather(socket.gethostname())
    assert world.hosts[world.rank] == world.host
    assert world.root == (COMM.rank == 0)
    assert world.library == library_name(MPI.Get_library_version())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("MPICH Version:      5.0.2\nMPICH Release date: Fri Sep 25\n", "MPICH 5.0.2"),
        ("Open MPI v5.0.11, package: Open MPI user@localhost Distribution, ident: 5.0.11", "Open MPI v5.0.11"),
        ("MPI VERSION    : CRAY MPICH version 8.1.27.26 (ANL base 3.4a2)\nMPI BUILD INFO", "CRAY MPICH 8.1.27.26"),
    ],
)
def test_the_name_of_a_library(text: str, name: str) -> None:
    assert name in library_name(text).replace("version ", "")


def test_a_given_communicator_is_the_world() -> None:
    reversed_ranks = COMM.Split(0, key=-COMM.rank)
    assert World.open(reversed_ranks).rank == COMM.size - 1 - COMM.rank
    assert World.open(MPI.COMM_SELF).size == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("length", [1, 7, 100_000])
def test_allreduce_sums_in_place(world: World, dtype: type[np.generic], length: int) -> None:
    vector = (np.arange(length) % 1000 + world.rank).astype(dtype)
    same = vector
    world.allreduce(vector)
    expected = world.size * (np.arange(length) % 1000) + world.size * (world.size - 1) // 2
    np.testing.assert_array_equal(vector, expected.astype(dtype))
    assert same is vector


def test_allgather_gather_and_bcast_keep_the_order_of_the_ranks(world: World) -> None:
    mine = {"rank": world.rank, "text": "x" * world.rank}
    everyone = [{"rank": rank, "text": "x" * rank} for rank in range(world.size)]
    assert world.allgather(mine) == everyone
    assert world.gather(mine) == (everyone if world.root else None)
    assert world.bcast(mine if world.root else None) == everyone[0]
    world.barrier()


def test_share_spreads_rank_0s_array(world: World) -> None:
    array = np.full((3, 5), world.rank + 1.5, np.float32)
    world.share(array)
    np.testing.assert_array_equal(array, np.full((3, 5), 1.5, np.float32))


def test_on_root_runs_on_rank_0_alone_and_its_result_reaches_every_rank(world: World) -> None:
    calls: list[int] = []

    def work() -> dict[str, int]:
        calls.append(world.rank)
        return {"from": world.rank}

    assert world.on_root(work) == {"from": 0}
    assert world.allgather(calls) == [[0]] + [[]] * (world.size - 1)
    assert world.on_root(lambda: None) is None


@pytest.mark.parametrize("error", [DataError("x is missing."), ValueError("boom"), OSError(28, "No space left")])
def test_what_rank_0_raises_in_on_root_every_rank_raises(world: World, error: Exception) -> None:
    def work() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        world.on_root(work)
    assert str(caught.value) == str(error)
    assert world.on_root(lambda: "and it goes on") == "and it goes on"


def test_two_worlds_do_not_hear_each_other() -> None:
    half = World(COMM.Split(COMM.rank % 2))
    vector = np.ones(3)
    half.allreduce(vector)
    np.testing.assert_array_equal(vector, np.full(3, half.size))
    # The failures of one half are no matter of the other.
    half.barrier()
    if COMM.rank % 2 == 0:
        assert half.meet_in_failure("all of us") is (half.rank == 0)


# Failures


def test_all_that_fail_alike_meet_and_the_first_reports(world: World) -> None:
    world.barrier()
    assert world.meet_in_failure("the same") is (world.rank == 0)


def test_who_fails_otherwise_reports_too(world: World) -> None:
    """Ranks 1 and up meet something else than rank 0: one report of each."""
    world.barrier()
    message = "first" if world.root else "second"
    assert world.meet_in_failure(message) is (world.rank <= 1)


# Threads


def test_asked_for_threads_are_left_alone(world: World) -> None:
    assert not distnn.THREADS.derived, "the launch sets OMP_NUM_THREADS"
    world.settle_threads()
    assert world.threads == distnn.THREADS


def test_derived_threads_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distnn, "THREADS", runtime.Threads(64, "what the launcher said", derived=True))
    world = World(COMM)
    with threadpoolctl.threadpool_limits():
        world.settle_threads()
        cores = len(os.sched_getaffinity(0))
        assert world.threads.count == max(1, cores // world.size)
        ranks = f"{world.size} ranks" if world.size > 1 else "1 rank"
        assert world.threads.reason == f"{cores} cores for {ranks}"
        assert set(blas_threads()) == {world.threads.count}


def test_use_threads(world: World) -> None:
    before: Any = world.threads
    with threadpoolctl.threadpool_limits():
        world.use_threads(2, "asked for")
        assert world.threads == runtime.Threads(2, "asked for")
        assert set(blas_threads()) == {2}
    world.threads = before


def blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
