"""The ownership of samples: pure index arithmetic, which any rank can do for any other without a message."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
    for shard in range(*part(shards, ranks, rank)):
        piece = part(whole or window.length, shards, shard)
        stop = min(piece.stop, window.length)
        if piece.start < stop:
            yield Shard(shard, Range(window.start + piece.start, window.start + stop))


@dataclass(frozen=True)
class Batching:
    """How an epoch is cut into steps, a step into batches, and a batch into micro-shards, of which each rank has some.

    Arguments:
        batch_size: of a global mini-batch.
        shards: the micro-shards that each batch is cut into.
        accumulate: batches per update.
        streams: each place in a batch is a stream, along which a model's state is carried.
        seed: what random ops are keyed to, beside the step and the micro-shard.
    """

    batch_size: int
    shards: int
    accumulate: int = 1
    streams: bool = False
    seed: int = 0

    def steps(self, samples: int) -> int:
        """The number of steps of an epoch."""
        return batches(batches(samples, self.batch_size), self.accumulate)

    def batches(self, samples: int, window: int) -> Range:
        """The batches of the epoch's ``window``-th step."""
        return batch(batches(samples, self.batch_size), self.accumulate, window)

    def samples(self, samples: int, window: int) -> int:
        """How many samples the epoch's ``window``-th step has on all ranks."""
        return batch(samples, self.accumulate * self.batch_size, window).length

    def pieces(self, samples: int, window: int, ranks: int, rank: int) -> list[Shard]:
        """A rank's micro-shards in the epoch's ``window``-th step, numbered through its batches."""
        first, last = self.batches(samples, window)
        whole = self.batch_size if self.streams else None
        return [
            Shard(shard + (index - first) * self.shards, positions)
            for index in range(first, last)
            for shard, positions in micro_shards(
                batch(samples, self.batch_size, index), self.shards, ranks, rank, whole
            )
        ]
