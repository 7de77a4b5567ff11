"""How an epoch is cut into steps, a step into batches, and a batch into micro-shards, of which each rank has some."""

from __future__ import annotations

from dataclasses import dataclass

from distnn.data import partition
from distnn.data.partition import Range, Shard


@dataclass(frozen=True)
class Batching:
    """What a step is made of.

    Arguments:
        batch_size: of a global mini-batch.
        shards: the micro-shards that each batch is cut into.
        accumulate: batches per update.
        streams: each place in a batch is a stream, along which the model's state is carried.
        seed: what random ops are keyed to, beside the step and the micro-shard.
    """

    batch_size: int
    shards: int
    accumulate: int = 1
    streams: bool = False
    seed: int = 0

    def steps(self, samples: int) -> int:
        """The number of steps of an epoch."""
        return partition.batches(partition.batches(samples, self.batch_size), self.accumulate)

    def batches(self, samples: int, window: int) -> Range:
        """The batches of the epoch's ``window``-th step."""
        return partition.batch(partition.batches(samples, self.batch_size), self.accumulate, window)

    def samples(self, samples: int, window: int) -> int:
        """How many samples the epoch's ``window``-th step has on all ranks."""
        return partition.batch(samples, self.accumulate * self.batch_size, window).length

    def pieces(self, samples: int, window: int, ranks: int, rank: int) -> list[Shard]:
        """A rank's micro-shards in the epoch's ``window``-th step, numbered through its batches."""
        first, last = self.batches(samples, window)
        whole = self.batch_size if self.streams else None
        return [
            Shard(shard + (index - first) * self.shards, positions)
            for index in range(first, last)
            for shard, positions in partition.micro_shards(
                partition.batch(samples, self.batch_size, index), self.shards, ranks, rank, whole
            )
        ]
