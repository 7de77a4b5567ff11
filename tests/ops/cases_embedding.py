"""Cases of the embedding."""

from __future__ import annotations

from distnn.graph import N
from distnn.ops.embedding import Embedding
from tests.support.ops import LABELS, SEQUENCES, Case

ABSTRACT: set[type] = set()


def looked_up(tokens, table):
    return table[tokens]


CASES = [
    Case(Embedding(), (LABELS, (4, 3)), (N, 3), looked_up),
    Case(Embedding(), (SEQUENCES, (4, 2)), (N, 3, 2), looked_up),
    Case(Embedding(), (SEQUENCES, (7, 1)), (N, 3, 1), looked_up),
]
