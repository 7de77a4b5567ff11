"""How much of what only repeats is done: a little, or all of it where DISTNN_TEST_THOROUGH is set."""

from __future__ import annotations

import os

THOROUGH = bool(os.environ.get("DISTNN_TEST_THOROUGH"))


def times(usually: int, thorough: int) -> int:
    """How often a test repeats what happens at a random moment."""
    return thorough if THOROUGH else usually
