"""How much of what only repeats is done: a little, or all of it where DISTNN_TEST_THOROUGH is set."""

from __future__ import annotations

import os
from collections.abc import Sequence

THOROUGH = bool(os.environ.get("DISTNN_TEST_THOROUGH"))


def times(usually: int, thorough: int) -> int:
    """How often a test repeats what happens at a random moment."""
    return thorough if THOROUGH else usually


def in_dtypes(cases: Sequence[str], narrow: Sequence[str]) -> list[tuple[str, str]]:
    """All cases in float64, whose tolerance lets no error of the algebra pass, and some in float32 too."""
    return [(case, "float64") for case in cases] + [(case, "float32") for case in (cases if THOROUGH else narrow)]
