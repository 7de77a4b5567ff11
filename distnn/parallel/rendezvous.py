"""Where ranks that have failed meet, to find out whether all have, and which of them is to tell."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import numpy as np

from distnn.parallel import survival

#: How long a failed rank waits for the others to fail too, before it ends the whole job. Seconds.
PATIENCE = 1.0


def meet(comm: Any, message: str) -> bool | None:
    """Whether this rank is to report its failure, or None if the other ranks go on as if nothing was.

    All ranks that fail alike (a bad run file, say) meet here within a second and end in order, the first of them
    reporting for those with the same message. A rank that fails alone has to end the others.

    Arguments:
        comm: a communicator of all ranks, for this only.
        message: what failed, in words.
    """
    mine = np.frombuffer(hashlib.blake2b(message.encode(), digest_size=8).digest(), np.uint64)
    everyone = np.zeros(comm.size, np.uint64)
    request = comm.Iallgather(mine, everyone)
    deadline = time.monotonic() + PATIENCE
    try:
        while not request.Test():
            if time.monotonic() > deadline:
                return None
            time.sleep(0.01)
    except Exception as error:
        if survival.is_loss(error):  # not all of them will come
            return None
        raise
    return bool(np.flatnonzero(everyone == mine[0])[0] == comm.rank)
