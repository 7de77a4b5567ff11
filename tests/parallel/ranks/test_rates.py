"""Every rank measures, and all agree on what was found."""

from __future__ import annotations

import pytest
from mpi4py import MPI

from distnn.doctor import rates
from distnn.parallel.communicator import Communicator
from distnn.parallel.world import World
from distnn.scaling.rates import Rates

COMM = MPI.COMM_WORLD
BASE = Rates(1e9, 1e-6, 0.0, 1e10, 1e11, 1e11, 1e6, 1.0, 1.0, 1.0, 1.0, 1.0)


@pytest.mark.mpi
@pytest.mark.parametrize("nodes", [1, 2])
def test_what_is_measured(nodes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "SECONDS", 0.002)
    monkeypatch.setattr(rates, "ROUNDS", 1)
    comm = Communicator(COMM, COMM.Split(COMM.rank % nodes))
    world = World.of(comm)
    found, words = rates.measure_rates(world, BASE, 40_000)
    assert all(each == (found, words) for each in comm.allgather((found, words)))
    several = min(map(len, comm.nodes)) > 1
    apart = len(comm.nodes) > 1
    assert len(words) == several + apart
    assert (found.node_latency < 0.1) == (found.node_bandwidth > 1e3) == several
    assert (found.latency < 0.1) == (found.bandwidth > 1e3) == apart
    assert found.network >= found.bandwidth
    assert found.flops == BASE.flops
