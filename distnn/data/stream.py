"""Data that stay in their file: read block by block, by a thread that keeps ahead of the training."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

import numpy as np

from distnn.arrays import Array
from distnn.data.augment import Augmentation
from distnn.data.file.reading import READ_BYTES, DataFile
from distnn.data.loader import Loader
from distnn.data.order import Order, spread, stored
from distnn.data.partition import Range
from distnn.data.source import Filling, SampleBlock, Source


class Stream:
    """A `Source` that has two blocks of its order in memory: one that is used, and the next, which a thread reads.

    Arguments:
        file: the data file, which is opened once more.
        split: train, validation or test.
        piece: the part of the split that it is about; all of it if None.
        order: of the samples in an epoch, in blocks that fit into memory; as they are stored if None.
        augmentation: changes the samples at random on their way.
    """

    def __init__(
        self,
        file: DataFile,
        split: str,
        piece: Range | None = None,
        order: Order | None = None,
        augmentation: Augmentation | None = None,
    ) -> None:
        self._file, self._split = DataFile(file.path), split
        self._piece = piece or Range(0, file.count(split))
        self._slots: list[_Slot] = []
        self._held: _Slot | None = None
        self._reader: _Reader | None = None
        self.order = order or stored(self._piece.length, block_length(file, split))
        self.augmentation = augmentation
        self._filling = Filling(self.order, file.scale, augmentation)

    def __len__(self) -> int:
        return self.order.samples

    def begin(self, seed: int, epoch: int) -> None:
        """As `Source.begin`; the epoch's first block is read when it is asked for."""
        self._stop()
        self._filling.begin(seed, epoch)

    def close(self) -> None:
        """End the thread, and close the file."""
        self._stop()
        self._file.close()

    def numbers(self, positions: Range) -> Array:
        """As `Source.numbers`."""
        return self._filling.numbers(self._load, positions)

    def fill(self, positions: Range, x: Array, y: Array | None) -> None:
        """As `Source.fill`."""
        self._filling.fill(self._load, positions, x, y)

    def _stop(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = self._held = None

    def _load(self, number: int) -> SampleBlock:
        if self._reader is None or number < self._reader.upcoming:
            self._stop()  # a step that is computed again may go back
            self._slots = self._slots or [_Slot(self._file, self._split, self.order.longest) for _ in range(2)]
            self._reader = _Reader(self._read, range(number, len(self.order.starts) - 1), self._slots)
        while True:
            if self._held is not None:
                self._reader.free(self._held)
            self._held, block = self._reader.next()
            if block.number == number:
                return block

    def _read(self, number: int, slot: _Slot) -> SampleBlock:
        """Read a block, in the thread."""
        pieces, rows = self.order.places(number)
        end = 0
        for piece in pieces:
            start, end = end, end + piece.length
            self._file.read_into(self._split, self._piece.start + piece.start, slot.x[start:end], slot.y[start:end])
        return SampleBlock(number, spread(pieces, rows, slot.samples), rows, slot.x, slot.y)


def source(file: DataFile, split: str, piece: Range, order: Order | None = None, *, in_memory: bool) -> Source:
    """What gives the samples of a piece of a split to this rank.

    Raises:
        DataError: if they are bad, as far as they are read now.
    """
    return Loader.read(file, split, piece, order) if in_memory else Stream(file, split, piece, order)


def block_length(file: DataFile, split: str) -> int:
    """So many samples are well read at a time."""
    return max(1, READ_BYTES // file.sample_bytes(split))


class _Slot:
    """Memory for one block."""

    def __init__(self, file: DataFile, split: str, length: int) -> None:
        self.x = np.empty((length, *file.sample_shape), file.x_dtype)
        self.y = np.empty((length, *file.target_shape), file.y_dtype(split))
        self.samples: Array = np.empty(length, np.intp)


class _Reader:
    """A thread that reads blocks one after the other, as long as there is a slot for them.

    Arguments:
        read: reads a block into a slot.
        blocks: their numbers.
        slots: memory for some of them.

    Attributes:
        upcoming: the number of the block that `next` returns next.
    """

    def __init__(self, read: Callable[[int, _Slot], SampleBlock], blocks: range, slots: list[_Slot]) -> None:
        self.upcoming = blocks.start
        self._read, self._blocks = read, blocks
        self._free: SimpleQueue[_Slot | None] = SimpleQueue()
        self._ready: SimpleQueue[tuple[_Slot, SampleBlock] | Exception] = SimpleQueue()
        for slot in slots:
            self._free.put(slot)
        self._thread = Thread(target=self._run, name="distnn data", daemon=True)
        self._thread.start()

    def next(self) -> tuple[_Slot, SampleBlock]:
        """The next block, once it has been read; what the thread raised is raised here."""
        ready = self._ready.get()
        if isinstance(ready, Exception):
            self._ready.put(ready)  # for whoever asks again
            raise ready
        self.upcoming += 1
        return ready

    def free(self, slot: _Slot) -> None:
        """The slot's block isn't needed any more."""
        self._free.put(slot)

    def close(self) -> None:
        """End the thread, which finishes the block that it is reading."""
        self._blocks = range(0)
        self._free.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            for number in self._blocks:
                slot = self._free.get()
                if slot is None or not self._blocks:
                    return
                self._ready.put((slot, self._read(number, slot)))
        except Exception as error:
            self._ready.put(error)
