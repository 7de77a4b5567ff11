"""Whether all ranks still have the same parameters."""

from __future__ import annotations

from collections import Counter

from distnn.errors import DistnnError
from distnn.parallel.communicator import Communicator
from distnn.parameters import Parameters


def agreed_fingerprint(comm: Communicator, parameters: Parameters) -> str:
    """The fingerprint of the parameters, if it is the same on every rank; they all have to call it.

    Raises:
        DistnnError: naming the ranks that differ from the majority, and their hosts.
    """
    prints: list[str] = comm.allgather(parameters.fingerprint())
    usual = Counter(prints).most_common(1)[0][0]  # rank 0's where no majority agrees: all ranks must name the same
    if strays := [rank for rank, own in enumerate(prints) if own != usual]:
        named = ", ".join(f"rank {rank} on {comm.hosts[rank]}" for rank in strays)
        raise DistnnError(
            f"the parameters are no longer the same on every rank: {named} differ from the others. A bit may have "
            f"flipped in memory, or the ranks run different libraries. Resume from the last checkpoint, without "
            f"that host if it happens again."
        )
    return usual
