"""Some rows of a dataset, which are read like a dataset of their own."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from distnn.arrays import Array
from distnn.data.file.rows import Rows, bytes_of_one

#: Rows that are not wanted, of up to so many bytes, are read along with those around them, rather than one more time.
GAP_BYTES = 16 * 1024
#: The bytes to read at a time, unless a chunk has more.
PIECE_BYTES = 4 * 1024 * 1024


class Picked:
    """Rows of others, picked by their numbers, in the same order.

    They are read in pieces with what lies between them, so that each chunk is decompressed once.

    Arguments:
        rows: what they are picked from.
        numbers: of the rows: (N,), rising.
    """

    def __init__(self, rows: Rows, numbers: Array) -> None:
        self.parts = (rows,)
        self.numbers = numbers
        self.shape = (len(numbers), *rows.shape[1:])
        self.dtype: np.dtype[Any] = rows.dtype
        self.chunks: tuple[int, ...] | None = None
        if rows.chunks:  # so many of its rows are in a chunk, about
            self.chunks = (max(1, rows.chunks[0] * len(numbers) // max(1, rows.shape[0])), *rows.chunks[1:])

    def read_direct(self, target: Array, where: slice) -> None:
        """Read the rows start..stop into ``target``."""
        (rows,), numbers = self.parts, self.numbers[where]
        for start, stop in self._pieces(numbers):
            first, end = int(numbers[start]), int(numbers[stop - 1]) + 1
            if end - first == stop - start:
                rows.read_direct(target[start:stop], slice(first, end))
            else:
                between = np.empty((end - first, *self.shape[1:]), target.dtype)
                rows.read_direct(between, slice(first, end))
                np.copyto(target[start:stop], between[numbers[start:stop] - first])

    def _pieces(self, numbers: Array) -> list[tuple[int, int]]:
        """Where in ``numbers`` each piece to be read begins and ends."""
        if not len(numbers):
            return []
        (rows,) = self.parts
        row, chunk = max(1, bytes_of_one(rows)), rows.chunks[0] if rows.chunks else 1
        # A chunk that nobody wants lies between, and it is worth leaving out; or the piece has grown long.
        apart = (np.diff(numbers // chunk) > 1) & ((np.diff(numbers) - 1) * row > GAP_BYTES)
        apart |= np.diff(numbers // (chunk * max(1, PIECE_BYTES // (row * chunk)))) > 0
        edges = [0, *(np.flatnonzero(apart) + 1).tolist(), len(numbers)]
        return list(pairwise(edges))
