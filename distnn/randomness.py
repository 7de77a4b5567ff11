"""Random numbers keyed to what they are for, and never to the rank that draws them."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, purpose: str) -> np.random.Generator:
    """The random numbers for ``purpose`` under ``seed``: the same on every rank, whatever else was drawn before.

    Philox, a counter-based generator (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC'11), keyed by a
    hash of both.
    """
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
