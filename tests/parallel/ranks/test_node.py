"""Reducing in shared memory gives what Allreduce gives; the memory leaves nothing behind."""

from __future__ import annotations

import errno
import glob
import os

import numpy as np
import pytest
from mpi4py import MPI

from distnn.data.loader import Loader
from distnn.errors import SharedMemoryError
from distnn.layers import BatchNorm, Dense, Sequential
from distnn.models import Model
from distnn.optim import SGD, Adam
from distnn.parallel import memory as shared
from distnn.parallel.communicator import Communicator
from distnn.parallel.fingerprints import agreed_fingerprint
from distnn.parallel.memory import NodeMemory
from distnn.parallel.reduction.allreduce import Allreduce
from distnn.parallel.reduction.node import NodeReduction
from distnn.parallel.world import World
from distnn.parameters import PrivateMemory
from distnn.session.parts import memories
from tests.support.runs import assembled, line, train_epoch
from tests.support.steps import step_of

OPTIMIZERS = {
    "adam": Adam(0.05),
    "plain": SGD(0.05),
    "momentum": SGD(0.05, 0.9),
    "nesterov and decay": SGD(0.05, 0.9, nesterov=True, weight_decay=0.01),
}


COMM = MPI.COMM_WORLD
#: Which ranks share a node, by the node's number for each rank.
NODES = {
    "each rank by itself": lambda rank: rank,
    "the first by itself": lambda rank: min(rank, 1),
    "turn and turn about": lambda rank: rank % 2,
    "the last by itself": lambda rank: rank == COMM.size - 1,
}


def split(nodes):
    """All ranks, on nodes as in `NODES`."""
    return Communicator(COMM, COMM.Split(NODES[nodes](COMM.rank)))


def named(comm):
    """The files that the ranks have in memory now: theirs only, never those of other jobs on the machine."""
    comm.barrier()
    ours = [path for pid in comm.allgather(os.getpid()) for path in glob.glob(f"/dev/shm/distnn-{pid}-*")]
    comm.barrier()
    return ours


def trained(memory, optimizer, clip_norm=None, accumulate=1, comm=None):
    """Everything that six steps over 79 samples in batches of 32 leave behind, the last of which is ragged."""
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(79, 6)), generator.normal(size=(79, 2))
    model = Model(Sequential(Dense(9, "tanh"), BatchNorm(), Dense(2)), (6,), task="regression", target_shape=(2,))
    world = World.of(comm or Communicator(COMM))
    options = {"memory": memory, "shards": 5, "clip_norm": clip_norm, "accumulate": accumulate}
    step = step_of(model, Loader({"x": x, "y": y}), optimizer, world, 32, **options)
    parameters = step.parameters
    told = []
    for number in range(6):
        result = step.run(number % step.windows, 0.05, stop=world.comm.rank == 0, number=number)
        told.append((result.sums.loss, result.sums.samples, result.stop, result.norm))
    world.comm.barrier()
    agreed_fingerprint(world.comm, parameters)
    return {"values": parameters.values.copy(), "told": np.array(told)} | {
        k: v.copy() for k, v in step.update.slots.items()
    }


@pytest.mark.mpi
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.5}, {"accumulate": 2}], ids=["", "clip", "accumulate"])
def test_slices_give_what_allreduce_gives(name, options):
    if COMM.size == 1:
        return  # one rank has nobody to share with
    expected = trained(PrivateMemory(), OPTIMIZERS[name], **options)
    found = trained(NodeMemory(Communicator(COMM)), OPTIMIZERS[name], **options)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-12, atol=1e-14, err_msg=key)


@pytest.mark.mpi
@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.5}], ids=["", "clip"])
@pytest.mark.parametrize("nodes", NODES)
def test_several_nodes_give_what_allreduce_gives(nodes, options):
    expected = trained(PrivateMemory(), OPTIMIZERS["momentum"], **options)
    comm = split(nodes)
    found = trained(NodeMemory(comm), OPTIMIZERS["momentum"], comm=comm, **options)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-12, atol=1e-14, err_msg=key)
        everyone = COMM.allgather(found[key].tobytes())
        assert everyone == [everyone[0]] * COMM.size  # the same bits on every node


@pytest.mark.mpi
@pytest.mark.parametrize("nodes", NODES)
def test_reproducible_on_several_nodes(nodes, tmp_path):
    path = line(tmp_path / "data.h5", {"train": 70})
    runs = [
        assembled(
            World.of(comm),
            data={"path": str(path), "batch_size": 20},
            model={"kind": "linear"},
            train={"clip_norm": 0.5},
            optimizer={"kind": "adam", "learning_rate": 0.01},
            parallel={"reproducible": True, "shards": 5},
        )
        for comm in (split(nodes), Communicator(MPI.COMM_SELF))
    ]
    reductions = [type(run.step.reduction) for run in runs]
    assert reductions == [Allreduce if max(map(len, split(nodes).nodes)) == 1 else NodeReduction, Allreduce]
    together, alone = [train_epoch(run, 0) for run in runs]
    np.testing.assert_array_equal(together[0], alone[0])
    assert runs[0].parameters.fingerprint() == runs[1].parameters.fingerprint()


@pytest.mark.mpi
def test_one_copy_of_the_parameters_and_a_row_of_gradients_each():
    comm = Communicator(COMM)
    memory = NodeMemory(comm)
    shared, mine = memory.one(100, np.dtype(np.float32)), memory.each(50, np.dtype(np.float32))
    assert not shared.any()
    comm.barrier()
    shared[comm.rank] = comm.rank + 1
    mine[:] = 10 * comm.rank
    comm.barrier()
    np.testing.assert_array_equal(shared[: comm.size], np.arange(comm.size) + 1)
    np.testing.assert_array_equal(memory.rows[0][:, 7], 10 * np.arange(comm.size))
    assert memory.place == ""
    assert named(comm) == []
    comm.barrier()


@pytest.mark.mpi
@pytest.mark.parametrize("wrong", ["/absent", "/proc/self/fd/0", "another"])
@pytest.mark.parametrize("deceived", [0, -1], ids=["first", "last"])
def test_where_a_rank_can_not_open_it_the_memory_is_a_file_in_a_folder(wrong, deceived, monkeypatch):
    comm, intact = Communicator(COMM), shared._opened
    another = os.memfd_create("distnn")
    os.posix_fallocate(another, 0, 1 << 20)
    path = f"/proc/self/fd/{another}" if wrong == "another" else wrong

    def opened(given, identity, size):
        assert named(comm) == ([] if given.startswith("/proc") else [given])
        comm.barrier()
        wronged = given.startswith("/proc") and comm.rank == deceived % comm.size
        return intact(path if wronged else given, identity, size)

    monkeypatch.setattr(shared, "_opened", opened)
    memory = NodeMemory(comm)
    values = memory.one(5000, np.dtype(np.float32))
    assert memory.place == "/dev/shm"
    assert not values.any()
    comm.barrier()
    values[comm.rank] = comm.rank + 1
    comm.barrier()
    np.testing.assert_array_equal(values[: comm.size], np.arange(comm.size) + 1)
    assert named(comm) == []
    comm.barrier()
    os.close(another)


@pytest.mark.mpi
def test_without_nameless_memory_it_is_a_file_in_a_folder(monkeypatch):
    def absent(name):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "memfd_create", absent)
    memory = NodeMemory(Communicator(COMM))
    assert not memory.one(10, np.dtype(np.float32)).any()
    assert memory.place == "/dev/shm"
    assert named(memory.everyone) == []


@pytest.mark.mpi
def test_memory_that_one_node_has_not_is_refused_on_all_of_them(monkeypatch):
    comm = split("the last by itself")
    monkeypatch.setattr(shared, "PLACES", ["/absent" if comm.rank == comm.size - 1 else "/dev/shm"])
    with pytest.raises(SharedMemoryError, match=f"in /absent on {comm.host} can't be allocated"):
        NodeMemory(comm).one(10, np.dtype(np.float32))
    assert named(comm) == []


@pytest.mark.mpi
def test_memory_that_is_not_to_be_had_is_refused_on_every_rank(monkeypatch):
    comm = Communicator(COMM)
    with pytest.raises(
        SharedMemoryError, match=rf"shared memory on {comm.host} can't be allocated \([\d.]+ MB are free\)"
    ):
        NodeMemory(comm).one(1 << 50, np.dtype(np.float32))
    monkeypatch.setattr(shared, "PLACES", ["/dev/shm"])
    with pytest.raises(SharedMemoryError, match="No space left on device|File too large|Invalid argument"):
        NodeMemory(comm).one(1 << 50, np.dtype(np.float32))
    monkeypatch.setattr(shared, "PLACES", ["/absent"])
    with pytest.raises(SharedMemoryError, match=r"shared memory in /absent .* can't be allocated \(No such file"):
        NodeMemory(comm).one(10, np.dtype(np.float32))
    assert named(comm) == []


@pytest.mark.mpi
def test_auto_shares_memory_where_a_node_has_several_ranks():
    comm = Communicator(COMM)
    kinds = [type(memory) for memory in memories("auto", comm, SGD())]
    assert kinds == ([PrivateMemory] if comm.size == 1 else [NodeMemory, PrivateMemory])
    assert [type(memory) for memory in memories("allreduce", comm, SGD())] == [PrivateMemory]
    assert [type(memory) for memory in memories("node", split("each rank by itself"), SGD())] == [PrivateMemory]
    kinds = [type(memory) for memory in memories("node", split("the first by itself"), SGD())]
    assert kinds == [PrivateMemory if comm.size <= 2 else NodeMemory]
