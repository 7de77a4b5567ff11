"""Work that goes on where ranks die."""

from __future__ import annotations

from collections.abc import Callable

from distnn.errors import DistnnError
from distnn.parallel.communicator import Communicator
from distnn.parallel.failure import LossError
from distnn.parallel.world import World


def outlive(world: World, work: Callable[[Communicator | None], None]) -> None:
    """Do some work on every rank; where ranks die without which the others are to go on, those do it again.

    ``work`` is given None first, and the ranks that are left each time after; whatever else ends it is raised.
    """
    failures = world.failures
    if not failures.elastic:
        work(None)
        return
    error: Exception | None = None
    disturbed = False
    while True:
        good = False
        try:
            work(_regroup(world, error) if disturbed else None)
            good = True
        except LossError:  # the ranks have agreed on it
            disturbed = True
            continue
        except Exception as raised:
            if not failures.disturbed(raised):
                raise
            error = raised
        disturbed = not failures.agree(good)
        if not disturbed:
            return


def _regroup(world: World, error: Exception | None) -> Communicator:
    """Leave out the dead."""
    world.heartbeat.beat("going on without the dead")
    before = len(world.failures.lost)
    comm = world.failures.regroup()
    if len(world.failures.lost) == before:
        raise DistnnError(f"MPI reports an error, but no rank has died: {error}.")
    return comm
