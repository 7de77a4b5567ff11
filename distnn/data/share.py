"""Blocks of a file that is streamed, of which each rank of a node reads a part, for itself and for the others.

So a node reads and unpacks each chunk once, and not once for each rank. A rank writes only to memory of its own: one
that is late, or ends in the middle of it, spoils nothing of the others'. These find in its head what it holds; if that
isn't what they look for, or not soon, they read the file themselves, which gives the same. So none depends on another.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from typing import NamedTuple, Protocol

import numpy as np

from distnn.arrays import Array
from distnn.data.partition import Range
from distnn.errors import DataError

#: How long a rank that is reading what is looked for is waited for, and one that hasn't begun. Seconds.
READING, COMING = 10.0, 2.0
#: Between looks at what another rank holds. Seconds.
PAUSE = 0.001
#: Memory for so many blocks: one is read while the other may be copied.
BLOCKS = 2
#: Of a rank's head: its process, and whether it reads no more.
PROCESS, CLOSED = 0, 1
#: Of each block in a head: a number that is odd while it is written to; the key; whether the samples are there.
VERSION, KEY, HELD = 0, slice(1, 4), 4
#: The length of a head.
HEAD = 2 + 5 * BLOCKS
#: So many units of each rank in a block are a fair share.
FAIR = 4
#: Within an array's bytes, each field begins at a multiple of so many.
ALIGNED = 64


class BlockKey(NamedTuple):
    """What tells a block from all others: they hold the same samples wherever it is the same."""

    seed: int
    epoch: int
    number: int


class Place(NamedTuple):
    """Samples that follow each other: where they are in a block, and in the split."""

    position: int
    samples: Range


class BlockMemory(Protocol):
    """Memory for a block, and what fills it.

    Attributes:
        fields: arrays, by name.
        ended: nobody needs it any more.
    """

    fields: dict[str, Array]
    ended: threading.Event

    def fill(self, places: Sequence[Place]) -> None:
        """Read samples from the file.

        Raises:
            DataError: they are bad.
        """


class Share:
    """What the ranks of a node read for each other.

    Arguments:
        heads: zeros (ranks, `HEAD`), int64, that all of them map.
        rooms: for each rank, bytes for `BLOCKS` blocks, that all of them map.
        rank: this one.
        unit: so many samples are read by one rank, from every multiple of that number on.
    """

    def __init__(self, heads: Array, rooms: Array, rank: int, unit: int) -> None:
        self._heads, self._rank, self._unit = heads, rank, unit
        size = rooms.shape[1] // BLOCKS  # reshaping might copy, and share nothing
        self._rooms = [[row[place * size : (place + 1) * size] for place in range(BLOCKS)] for row in rooms]
        self._given_up: dict[tuple[int, int], int] = {}
        self._fence = threading.Lock()
        heads[rank, PROCESS] = os.getpid()

    def _divided(self, pieces: Sequence[Range], first: int) -> list[list[Place]]:
        """By rank, what it reads of a block."""
        parts: list[list[Place]] = [[] for _ in self._heads]
        for position, (start, stop) in placed(pieces, first):
            edges = range((start // self._unit + 1) * self._unit, stop, self._unit)
            for low, high in pairwise([start, *edges, stop]):
                parts[low // self._unit % len(parts)].append(Place(position + low - start, Range(low, high)))
        return parts

    def read(self, key: BlockKey, pieces: Sequence[Range], first: int, block: BlockMemory) -> None:
        """Fill a block with ranges of samples after the ``first``: this rank's places, and what the others have read.

        Raises:
            DataError: samples are bad; the first of them, whoever has read it.
        """
        parts = self._divided(pieces, first)
        try:
            with self._giving(key, parts[self._rank], block.fields):
                block.fill(parts[self._rank])
            for rank in [*range(self._rank + 1, len(parts)), *range(self._rank)]:
                if not self._taken(rank, key, parts[rank], block) and not block.ended.is_set():
                    block.fill(parts[rank])
        except DataError:
            block.fill(placed(pieces, first))
            raise

    def close(self) -> None:
        """Let none wait for this rank any more."""
        self._heads[self._rank, CLOSED] = 1

    @contextmanager
    def _giving(self, key: BlockKey, places: Sequence[Place], fields: Mapping[str, Array]) -> Iterator[None]:
        """Let this rank read its places of a block into ``fields`` inside, and give them to the others then.

        Where that fails they find out that they have to read them themselves.
        """
        head, room = self._block(self._rank, key)
        head[VERSION] += 1 + head[VERSION] % 2
        head[KEY], head[HELD] = key, 0
        self._ordered()
        try:
            yield
            if (views := _views(room, places, fields)) is not None:
                for place, rows in _rows(places):
                    for name, array in fields.items():
                        np.copyto(views[name][rows], array[place])
                head[HELD] = 1
        finally:
            self._ordered()
            head[VERSION] += 1

    def _taken(self, rank: int, key: BlockKey, places: Sequence[Place], block: BlockMemory) -> bool:
        """Copy what another rank has read of its places in a block; False where this one has to read them."""
        head, room = self._block(rank, key)
        fields = block.fields
        views = _views(room, places, fields)
        if not places:
            return True
        if views is None or not self._found(rank, key, head, block.ended):
            return False
        version = int(head[VERSION])
        self._ordered()
        if version % 2 or tuple(head[KEY]) != key or not head[HELD]:
            return False
        for place, rows in _rows(places):
            for name, array in fields.items():
                np.copyto(array[place], views[name][rows])
        self._ordered()
        return bool(head[VERSION] == version)  # else it was overwritten meanwhile

    def _found(self, rank: int, key: BlockKey, head: Array, ended: threading.Event) -> bool:
        """Wait until a rank has read a block, unless that isn't to be expected."""
        began, what = time.monotonic(), (rank, key.number % BLOCKS)
        while True:
            version = int(head[VERSION])
            seed, *at = head[KEY].tolist()
            if version and version % 2 == 0 and (seed, *at) == key:
                return True
            if ended.is_set() or self._heads[rank, CLOSED] or (seed == key.seed and at > [*key[1:]]):
                return False
            patience = READING if version % 2 else COMING
            if (
                self._given_up.get(what) == version
                or time.monotonic() - began > patience
                or not _lives(int(self._heads[rank, PROCESS]))
            ):
                self._given_up[what] = version  # until it reads again
                return False
            time.sleep(PAUSE)

    def _block(self, rank: int, key: BlockKey) -> tuple[Array, Array]:
        """A rank's head for a block, and the memory for it."""
        place = key.number % BLOCKS
        return self._heads[rank, 2 + 5 * place : 7 + 5 * place], self._rooms[rank][place]

    def _ordered(self) -> None:
        """Let memory be written and read before this as it is written here, whatever the processor."""
        with self._fence:
            pass


def _rows(places: Sequence[Place]) -> Iterator[tuple[slice, slice]]:
    """Where places are in a block, and among themselves."""
    end = 0
    for position, samples in places:
        start, end = end, end + samples.length
        yield slice(position, position + samples.length), slice(start, end)


def _views(room: Array, places: Sequence[Place], fields: Mapping[str, Array]) -> dict[str, Array] | None:
    """Arrays in a rank's memory for the samples of these places; None if there isn't room for them."""
    length, end = sum(samples.length for _, samples in places), 0
    found = {}
    for name, array in fields.items():
        start, end = end, end + length * (array.nbytes // len(array))
        if end > len(room):
            return None
        found[name] = room[start:end].view(array.dtype).reshape(length, *array.shape[1:])
        end = -(-end // ALIGNED) * ALIGNED
    return found


def placed(pieces: Sequence[Range], first: int) -> list[Place]:
    """Where a block's ranges of samples after the ``first`` are in it, and in the split."""
    starts = accumulate((piece.length for piece in pieces), initial=0)
    return [Place(at, Range(first + start, first + stop)) for at, (start, stop) in zip(starts, pieces, strict=False)]


def unit(longest: int, together: int, ranks: int, threads: int) -> int:
    """How many samples that follow each other one rank reads: some that are well read together, or more.

    For each of its threads there are some, but each rank is to have several of such units in the longest block.
    """
    return together * max(1, min(threads, longest // (FAIR * ranks * together)))


def room(longest: int, together: int, ranks: int) -> int:
    """For how many samples of a block a rank needs memory: for twice its share, and then some."""
    return min(longest, 2 * -(-longest // ranks) + 2 * together)


def _lives(process: int) -> bool:
    """Whether there is a process of this number, as far as this one can see."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
