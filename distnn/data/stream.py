"""Data that stay in their file: read block by block, by a thread that keeps ahead of the training."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import numpy as np

from distnn.arrays import Array
from distnn.data.augment import Augmentation
from distnn.data.file.reading import READ_BYTES, DataFile
from distnn.data.file.rows import leaves
from distnn.data.file.slabs import LARGEST, Slabs
from distnn.data.loader import Loader
from distnn.data.order import Order, spread, stored
from distnn.data.partition import Range
from distnn.data.share import BlockKey, Place, Share, placed
from distnn.data.source import SampleBlock, Source


class _Slot:
    """Memory for one block, a `distnn.data.share.BlockMemory`."""

    def __init__(self, file: DataFile, split: str, length: int, ended: Event) -> None:
        self._file, self._split, self.ended = file, split, ended
        forms = file.forms(split).items()
        self.fields: dict[str, Array] = {name: np.empty((length, *form.shape), form.dtype) for name, form in forms}
        self.samples: Array = np.empty(length, np.intp)

    def fill(self, places: Sequence[Place]) -> None:
        """Read samples from the file."""
        for position, samples in places:
            arrays = {name: array[position : position + samples.length] for name, array in self.fields.items()}
            self._file.read_into(self._split, samples.start, arrays)


class Stream(Source):
    """A `Source` that has two blocks of its order in memory: one that is used, and the next, which a thread reads.

    Arguments:
        file: the data file, which is opened once more.
        split: train, validation or test.
        piece: the part of the split that it is about; all of it if None.
        order: of the samples in an epoch, in blocks that fit into memory; as they are stored if None.
        augmentation: changes the samples at random on their way.
        share: what the ranks of a node read for each other, which all have the same order; None: this one reads all.
    """

    def __init__(
        self,
        file: DataFile,
        split: str,
        piece: Range | None = None,
        order: Order | None = None,
        augmentation: Augmentation | None = None,
        share: Share | None = None,
    ) -> None:
        self._file, self._split, self._share = file.again(), split, share
        self._piece = piece or Range(0, file.count(split))
        self.origin = (f"{file.path}: {split}/", self._piece.start)
        self._slots: list[_Slot] = []
        self._ended, self._drawn = Event(), (0, 0)
        self._thread = ThreadPoolExecutor(1, "distnn data")
        self._ahead: list[tuple[int, Future[SampleBlock]]] = []  # at most one
        order = order or stored(self._piece.length, block_length(file, split))
        super().__init__(order, file.scale, augmentation, file.chains)

    def begin(self, seed: int, epoch: int) -> None:
        """As `Source.begin`; the epoch's first block is read when it is asked for."""
        self._stop()
        self._drawn = seed % 2**63, epoch
        super().begin(seed, epoch)

    def close(self) -> None:
        """End the thread, and close the file."""
        self._stop()
        if self._share:
            self._share.close()
        self._file.close()

    def _stop(self) -> None:
        """End the thread, which finishes the block that it is reading; the next one starts with its first block."""
        self._ended.set()
        self._thread.shutdown(cancel_futures=True)
        self._ended.clear()
        self._thread, self._ahead = ThreadPoolExecutor(1, "distnn data"), []

    def _load(self, number: int) -> SampleBlock:
        if not self._ahead or number < self._ahead[0][0]:
            self._stop()  # a step that is computed again may go back
            made = self._file, self._split, self.order.longest, self._ended
            self._slots = self._slots or [_Slot(*made) for _ in range(2)]
            self._read_ahead(number)
        while True:
            upcoming, reading = self._ahead.pop()
            self._read_ahead(upcoming + 1)  # into the memory of the block before the upcoming one
            block = reading.result()
            if upcoming == number:
                return block

    def _read_ahead(self, number: int) -> None:
        if number < len(self.order.starts) - 1:
            self._ahead.append((number, self._thread.submit(self._read, number, self._slots[number % 2])))

    def _read(self, number: int, slot: _Slot) -> SampleBlock:
        """Read a block, in the thread."""
        pieces, rows = self.order.places(number)
        if self._share is None:
            slot.fill(placed(pieces, self._piece.start))
        else:
            self._share.read(BlockKey(*self._drawn, number), pieces, self._piece.start, slot)
        return SampleBlock(number, spread(pieces, rows, slot.samples), rows, slot.fields)


def source(file: DataFile, split: str, piece: Range, order: Order | None = None, *, in_memory: bool) -> Source:
    """What gives the samples of a piece of a split to this rank.

    Raises:
        DataError: if they are bad, as far as they are read now.
    """
    return Loader.read(file, split, piece, order) if in_memory else Stream(file, split, piece, order)


def block_length(file: DataFile, split: str) -> int:
    """So many samples are well read at a time; more where chunks are too large to be kept, and unpacked each time."""
    slabs = slabs_of(file, split)
    large = any(each.nbytes > LARGEST for each in slabs)
    return max(1, (LARGEST if large else READ_BYTES) // file.sample_bytes(split))


def slabs_of(file: DataFile, split: str) -> list[Slabs]:
    """Of the samples, those datasets' whose chunks are to be unpacked."""
    found = (getattr(leaf, "slabs", None) for leaf in leaves(file.rows(split)["x"]))
    return [each for each in found if each is not None]


def unpacked_together(file: DataFile, split: str) -> int:
    """So many samples at least are unpacked at a time; 1 where nothing is."""
    return file.chunk(split) if slabs_of(file, split) else 1
