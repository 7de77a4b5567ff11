"""The ownership of samples: pure index arithmetic, which any rank can do for any other without a message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Range(NamedTuple):
    """The positions start, …, stop − 1."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """The number of positions."""
        return self.stop - self.start


def part(length: int, parts: int, index: int) -> Range:
    """The ``index``-th of ``parts`` contiguous pieces of ``length`` positions, of lengths as equal as possible.

    The first ``length mod parts`` pieces hold one position more; pieces may be empty.
    """
    each, more = divmod(length, parts)
    start = index * each + min(index, more)
    return Range(start, start + each + (index < more))


def batches(samples: int, batch_size: int) -> int:
    """The number of batches in an epoch; the last may be smaller."""
    return -(-samples // batch_size)


def batch(samples: int, batch_size: int, index: int) -> Range:
    """The positions of an epoch's ``index``-th batch."""
    return Range(index * batch_size, min((index + 1) * batch_size, samples))


class Shard(NamedTuple):
    """A micro-shard: its number within the batch, and its positions in the epoch."""

    shard: int
    positions: Range


def micro_shards(window: Range, shards: int, ranks: int, rank: int, whole: int | None = None) -> Iterator[Shard]:
    """The micro-shards of a global batch that ``rank`` computes; empty ones are left out.

    The batch is cut into ``shards`` pieces by position only, and a rank owns a contiguous range of whole pieces. So the
    shards are the same on any number of ranks. If ``whole`` is given, a smaller batch is cut like one of ``whole``
    positions, so that the n-th position of every batch is in the same shard.
    """
    mine = part(shards, ranks, rank)
    for shard in range(mine.start, mine.stop):
        piece = part(whole or window.length, shards, shard)
        stop = min(piece.stop, window.length)
        if piece.start < stop:
            yield Shard(shard, Range(window.start + piece.start, window.start + stop))
