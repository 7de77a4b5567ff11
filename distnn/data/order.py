"""The order of an epoch's samples: a pure function of the seed, the epoch and the data file.

So it is the same on any number of ranks, whether the data are in memory or read piece by piece. An order is cut into
blocks, contiguous pieces of its positions, each of which can be computed alone: a run that is resumed in the middle of
an epoch computes and reads only the rest of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from distnn.arrays import Array
from distnn.data.partition import Range, part
from distnn.randomness import generator

#: A block mixes the samples of at least this many groups of chunks, if the chunks are small enough.
GROUPS = 16


def permutation(samples: int, seed: int, epoch: int, shuffle: bool = True, streams: int = 0) -> Array:
    """The order of the samples in ``epoch`` (from 0): the same on every rank, keyed to (seed, epoch).

    With ``streams``, the samples are cut into that many contiguous pieces, which are read side by side: first the first
    sample of each, then the second of each, and so on. The first pieces may be one sample longer than the others.
    """
    if streams:
        starts = np.array([part(samples, streams, stream).start for stream in range(streams)], np.intp)
        position = np.arange(samples, dtype=np.intp)
        return starts[position % streams] + position // streams
    if not shuffle:
        return np.arange(samples, dtype=np.intp)
    return generator(seed, f"order/{epoch}").permutation(samples).astype(np.intp, copy=False)


class Order(ABC):
    """An order of samples, cut into blocks.

    Arguments:
        samples: the number of samples.
        name: stored in checkpoints, to distinguish this order from others.
        longest: the length of the longest block.

    Attributes:
        starts: the position at which each block begins, and the number of samples: (blocks + 1,).
    """

    starts: Array

    def __init__(self, samples: int, name: str, longest: int) -> None:
        self.samples, self.name, self.longest = samples, name, longest

    @abstractmethod
    def begin(self, seed: int, epoch: int) -> None:
        """Begin ``epoch``, from 0, to which `starts` and `numbers` then refer."""

    @abstractmethod
    def places(self, block: int) -> tuple[list[Range], Array]:
        """How to read a block: ranges of contiguous samples, and the row among all of these for each position."""

    def numbers(self, block: int, out: Array) -> Array:
        """The numbers of the samples in a block, position by position.

        They are written to ``out``, which holds at least `longest` integers, or they are a view that must not be
        changed and is valid until the next `begin`.
        """
        return spread(*self.places(block), out)

    def sections(self, positions: Range) -> Iterator[tuple[int, Range]]:
        """The blocks that hold these positions, in order, each with their range within it."""
        start = positions.start
        while start < positions.stop:
            block = int(np.searchsorted(self.starts, start, side="right")) - 1
            first, end = int(self.starts[block]), min(int(self.starts[block + 1]), positions.stop)
            yield block, Range(start - first, end - first)
            start = end


def spread(pieces: list[Range], rows: Array, out: Array) -> Array:
    """The numbers of the samples that `Order.places` gives as ``pieces`` and ``rows``, written to ``out``."""
    inside = np.concatenate([np.arange(*piece, dtype=np.intp) for piece in pieces])
    return np.take(inside, rows, out=out[: len(rows)])


class Whole(Order):
    """An order that is drawn as one array for the epoch.

    Arguments:
        samples: the number of samples.
        draw: (seed, epoch) → the samples' numbers in their order, (samples,).
        name: the name of the order.
        block: positions of a block; the last may be shorter. None: all in one block. It doesn't change the order.
    """

    def __init__(self, samples: int, draw: Callable[[int, int], Array], name: str, block: int | None = None) -> None:
        length = min(block or samples, samples)
        super().__init__(samples, name, length)
        self.starts = np.append(np.arange(0, samples, max(1, length)), samples)
        self._draw, self._all = draw, np.empty(0, np.intp)

    def begin(self, seed: int, epoch: int) -> None:
        """Draw the epoch's order."""
        self._all = self._draw(seed, epoch)

    def numbers(self, block: int, out: Array) -> Array:
        """A view of the epoch's order."""
        view: Array = self._all[self.starts[block] : self.starts[block + 1]]
        return view

    def places(self, block: int) -> tuple[list[Range], Array]:
        """The samples in the order of the file, in ranges of neighbours."""
        numbers = self.numbers(block, self._all)
        rising = np.argsort(numbers, kind="stable")
        rows = np.empty(len(numbers), np.intp)
        rows[rising] = np.arange(len(numbers), dtype=np.intp)
        inside = numbers[rising]
        edges = np.concatenate([[0], np.flatnonzero(np.diff(inside) != 1) + 1, [len(inside)]])
        pieces = [Range(int(inside[start]), int(inside[stop - 1]) + 1) for start, stop in pairwise(edges.tolist())]
        return pieces, rows


def stored(samples: int, block: int | None = None) -> Whole:
    """The order in which the samples are stored."""
    return Whole(samples, lambda seed, epoch: permutation(samples, seed, epoch, shuffle=False), "stored", block)


def shuffled(samples: int, block: int | None = None) -> Whole:
    """The full permutation: every order of the samples is as likely as any other."""
    return Whole(samples, lambda seed, epoch: permutation(samples, seed, epoch), "shuffled", block)


def side_by_side(samples: int, streams: int, block: int | None = None) -> Whole:
    """That many streams side by side, each in its stored order."""
    return Whole(samples, lambda seed, epoch: permutation(samples, seed, epoch, streams=streams), "streams", block)


class Buffered(Order):
    """Groups of chunks in a random order, and within each block of several groups, the samples in a random order.

    A block has as many groups as hold at most ``buffer`` samples, but at least one, and is shuffled as a whole. So a
    block is read in whole chunks, each chunk is read once an epoch, and two buffers of one block each, the second for
    the next block, are all the memory that it takes.

    Arguments:
        edges: where each group of chunks begins in the file, and the number of samples: (groups + 1,).
        buffer: the number of samples that are shuffled together.
    """

    def __init__(self, edges: Array, buffer: int) -> None:
        self._edges, self._lengths = edges, np.diff(edges)
        groups, longest = len(self._lengths), int(self._lengths.max())
        self._each = max(1, buffer // longest)
        name = f"buffer of {buffer} over {groups} groups of {longest}"
        super().__init__(int(edges[-1]), name, self._each * longest)

    def begin(self, seed: int, epoch: int) -> None:
        """Draw the order of the groups."""
        self._key = seed, epoch
        self._sequence = generator(seed, f"order/{epoch}/groups").permutation(len(self._lengths))
        ends = np.concatenate([[0], np.cumsum(self._lengths[self._sequence])])
        self.starts = np.append(ends[: -1 : self._each], self.samples)

    def places(self, block: int) -> tuple[list[Range], Array]:
        """Whole groups, in the order in which they were drawn, and all their samples shuffled."""
        drawn = self._sequence[block * self._each : (block + 1) * self._each].tolist()
        pieces = [Range(int(self._edges[group]), int(self._edges[group + 1])) for group in drawn]
        rows = np.arange(sum(piece.length for piece in pieces), dtype=np.intp)
        seed, epoch = self._key
        generator(seed, f"order/{epoch}/block/{block}").shuffle(rows)
        return pieces, rows


def groups(samples: int, chunk: int, sample_bytes: int, buffer: int, target: int) -> Array:
    """Where groups of whole chunks of ``chunk`` samples each begin, for `Buffered`: (groups + 1,).

    A group has as many chunks as make ``target`` bytes, so that many small chunks are read at a time, but few enough
    for `GROUPS` groups to fit into the ``buffer`` of so many samples, and at least one.
    """
    chunks = max(1, min(target // (chunk * sample_bytes), buffer // (GROUPS * chunk)))
    return np.append(np.arange(0, samples, chunks * chunk), samples)
