"""What the ranks say to each other: sums, values and errors reach every rank, in any communicator."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import numpy as np
import pytest
import threadpoolctl
from mpi4py import MPI

import distnn
from distnn import runtime
from distnn.errors import DataError
from distnn.parallel.communicator import Communicator
from distnn.parallel.failure import Failures
from distnn.parallel.launch import library_name
from distnn.parallel.threads import BlasThreads
from distnn.parallel.world import World

pytestmark = pytest.mark.mpi

COMM = MPI.COMM_WORLD


@pytest.fixture(scope="module")
def comm() -> Communicator:
    return World.open().comm


@pytest.fixture(scope="module")
def failures(comm: Communicator) -> Failures:
    return Failures(comm)


def test_it_is_the_world_of_all_ranks(comm: Communicator) -> None:
    assert (comm.rank, comm.size) == (COMM.rank, COMM.size)
    assert comm.hosts == COMM.allgather(socket.gethostname())
    assert comm.hosts[comm.rank] == comm.host
    assert comm.root == (COMM.rank == 0)
    assert comm.library == library_name(MPI.Get_library_version())


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
    assert World.open(reversed_ranks).comm.rank == COMM.size - 1 - COMM.rank
    assert World.open(MPI.COMM_SELF).comm.size == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("length", [1, 7, 100_000])
def test_allreduce_sums_in_place(comm: Communicator, dtype: type[np.generic], length: int) -> None:
    vector = (np.arange(length) % 1000 + comm.rank).astype(dtype)
    same = vector
    comm.allreduce(vector)
    expected = comm.size * (np.arange(length) % 1000) + comm.size * (comm.size - 1) // 2
    np.testing.assert_array_equal(vector, expected.astype(dtype))
    assert same is vector


def test_allgather_gather_and_bcast_keep_the_order_of_the_ranks(comm: Communicator) -> None:
    mine = {"rank": comm.rank, "text": "x" * comm.rank}
    everyone = [{"rank": rank, "text": "x" * rank} for rank in range(comm.size)]
    assert comm.allgather(mine) == everyone
    assert comm.gather(mine) == (everyone if comm.root else None)
    assert comm.bcast(mine if comm.root else None) == everyone[0]
    comm.barrier()


def test_share_spreads_rank_0s_array(comm: Communicator) -> None:
    array = np.full((3, 5), comm.rank + 1.5, np.float32)
    comm.share(array)
    np.testing.assert_array_equal(array, np.full((3, 5), 1.5, np.float32))


def test_on_root_runs_on_rank_0_alone_and_its_result_reaches_every_rank(comm: Communicator) -> None:
    calls: list[int] = []

    def work() -> dict[str, int]:
        calls.append(comm.rank)
        return {"from": comm.rank}

    assert comm.on_root(work) == {"from": 0}
    assert comm.allgather(calls) == [[0]] + [[]] * (comm.size - 1)
    assert comm.on_root(lambda: None) is None


@pytest.mark.parametrize("error", [DataError("x is missing."), ValueError("boom"), OSError(28, "No space left")])
def test_what_rank_0_raises_in_on_root_every_rank_raises(comm: Communicator, error: Exception) -> None:
    def work() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        comm.on_root(work)
    assert str(caught.value) == str(error)
    assert comm.on_root(lambda: "and it goes on") == "and it goes on"


def test_two_worlds_do_not_hear_each_other() -> None:
    half = Communicator(COMM.Split(COMM.rank % 2))
    vector = np.ones(3)
    half.allreduce(vector)
    np.testing.assert_array_equal(vector, np.full(3, half.size))
    # The failures of one half are no matter of the other.
    failures = Failures(half)
    half.barrier()
    if COMM.rank % 2 == 0:
        assert failures.meet("all of us") is (half.rank == 0)


# Failures


def test_all_that_fail_alike_meet_and_the_first_reports(comm: Communicator, failures: Failures) -> None:
    comm.barrier()
    assert failures.meet("the same") is (comm.rank == 0)


def test_who_fails_otherwise_reports_too(comm: Communicator, failures: Failures) -> None:
    """Ranks 1 and up meet something else than rank 0: one report of each."""
    comm.barrier()
    message = "first" if comm.root else "second"
    assert failures.meet(message) is (comm.rank <= 1)


# Threads


@pytest.fixture
def threads() -> Iterator[BlasThreads]:
    with threadpoolctl.threadpool_limits():
        yield BlasThreads(distnn.THREADS)


def test_asked_for_threads_are_left_alone(comm: Communicator, threads: BlasThreads) -> None:
    assert not distnn.THREADS.derived, "the launch sets OMP_NUM_THREADS"
    threads.settle(comm)
    assert threads.now == distnn.THREADS


def test_a_blas_that_was_loaded_before_its_threads_were_chosen_gets_them(
    comm: Communicator, threads: BlasThreads
) -> None:
    threadpoolctl.threadpool_limits(distnn.THREADS.count + 1, user_api="blas")
    threads.settle(comm)
    assert set(blas_counts()) == {distnn.THREADS.count}


def test_derived_threads_share_the_cores(comm: Communicator, threads: BlasThreads) -> None:
    threads = BlasThreads(runtime.Threads(64, "what the launcher said", derived=True))
    threads.settle(comm)
    cores = len(os.sched_getaffinity(0))
    assert threads.now.count == max(1, cores // comm.size)
    ranks = f"{comm.size} ranks" if comm.size > 1 else "1 rank"
    assert threads.now.reason == f"{cores} cores for {ranks}"
    assert set(blas_counts()) == {threads.now.count}


def test_other_threads_can_be_used_until_they_are_settled_again(comm: Communicator, threads: BlasThreads) -> None:
    threads.use(2, "asked for")
    assert threads.now == runtime.Threads(2, "asked for")
    assert set(blas_counts()) == {2}
    threads.settle(comm)
    assert threads.now == distnn.THREADS
    assert set(blas_counts()) == {distnn.THREADS.count}


def blas_counts() -> list[int]:
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
