"""Datasets of a data file, of which nothing is read that isn't there.

Where a chunk decompresses to fewer bytes than a chunk has, HDF5 takes for the rest what happens to lie in memory; where
a file has become shorter since it was opened, it takes zeros. Both are found here.
"""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from distnn.data.file.opening import named, open_file
from distnn.data.file.references import source_files
from distnn.data.file.slabs import Slabs
from distnn.data.file.unpacking import CHECKSUM, DEFLATE, FLETCHER32, SHUFFLE, most
from distnn.errors import DataError, complain
from distnn.kernels.loading import joined, load

#: Filters that compress, besides `DEFLATE`.
SZIP, LZF = h5py.h5z.FILTER_SZIP, h5py.h5z.FILTER_LZF
#: From so many bytes of a dataset on, what is done with each of them is compiled first.
COMPILED_FROM = 8 * 1024 * 1024


class Witness:
    """Some files as they were when they were opened.

    Arguments:
        path: the data file itself: HDF5 keeps it open, so another may get its name.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._before = path, {path: os.stat(path)}

    def add(self, paths: Iterable[Path]) -> None:
        """Other files to which it refers, which HDF5 opens when it needs them."""
        self._before |= {path: os.stat(path) for path in paths if path != self._path}

    @property
    def stamps(self) -> list[tuple[int, ...]]:
        """What tells the files from all others of this machine, and from themselves once they are written to."""
        return [(each.st_dev, each.st_ino, each.st_size, each.st_mtime_ns) for each in self._before.values()]

    def check(self, what: str) -> None:
        """See that the files are still what they were, now that ``what`` was read; a change of time only is told of.

        Raises:
            DataError: one has become shorter, or is gone.
        """
        for path, before in self._before.items():
            try:
                now = os.stat(path)
            except OSError as error:
                if path == self._path:
                    continue
                raise DataError(
                    f"{path}, in which values of {self._path} lie, is gone ({error.strerror}); it was to hold {what}. "
                    "Put it back, and leave data in place while they are read."
                ) from None
            if (now.st_dev, now.st_ino) != (before.st_dev, before.st_ino) and path == self._path:
                continue
            if now.st_size < before.st_size:
                raise DataError(
                    f"{path} has become shorter while it was read: {now.st_size} bytes, and it had {before.st_size}. "
                    f"HDF5 may have read zeros for {what}. Make the file again, and leave it alone while it is read."
                )
            if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                complain(
                    f"distnn: warning: {path} was written to while it was read; from {what} on, values may be others."
                )
                self._before[path] = now


class Stored(h5py.Dataset):  # type: ignore[misc]
    """A dataset whose chunks are checked before they are first read, and its files after each reading.

    What compressed bytes decompress to can't be told from their number: a chunk of equal values may be a thousand times
    shorter than others. So they are decompressed by `Slabs`, or, where only HDF5 has the filter, once more here. All of
    a large file's, when it is opened, would take too long; so each chunk's turn comes when it is read, and only once.

    Arguments:
        path: of its file.
        dataset: it, as h5py opens it.
        witness: of the files that it lies in.
        checked: the rows of its chunks that were checked already.
        axis: which of its axes counts the samples, whose places are the rows here; the first, or the last.

    Attributes:
        names: what the places along its last axis are called; empty if that isn't known.
    """

    def __init__(
        self, path: Path, dataset: Any, witness: Witness, checked: set[int] | None = None, axis: int = 0
    ) -> None:
        super().__init__(dataset.id, readonly=True)
        self._path, self._witness, self.axis = path, witness, axis
        self.names: tuple[str, ...] = ()
        self._properties = self.id.get_create_plist()
        self._pipeline = [self._properties.get_filter(place)[0] for place in range(self._properties.get_nfilters())]
        #: Each of its chunks is there, and is whole rows in memory's form, and a checksum.
        self._plain = (
            self._pipeline == [FLETCHER32]
            and self._properties.fill_value_defined() != h5py.h5d.FILL_VALUE_USER_DEFINED
            and axis == 0
            and self.chunks[1:] == self.shape[1:]
            and self.dtype.isnative
        )
        self._checked: set[int] = set() if checked is None else checked
        self.slabs = Slabs(self, axis) if self.chunks and self._pipeline else None
        self._of_sources: dict[tuple[Path, str], set[int]] = {}

    def read_direct(self, target: np.ndarray, where: slice) -> None:
        """Read the rows start..stop into ``target``, which has the dataset's axes in the same order."""
        named(self._path, self._read)(target, where)

    def _read(self, target: np.ndarray, where: slice) -> None:
        if self.slabs is None:
            self.read_rows(target, where.start, where.stop)
        else:
            self.slabs.read(target, where.start, where.stop)
            self._witness.check(self._named(where.start, where.stop))

    def read_rows(self, target: np.ndarray, start: int, stop: int) -> None:
        """Read the rows start..stop by HDF5, after a check of what is read for the first time."""
        again = self._read_before(start, stop)
        with self.guarded(start, stop):
            if again:
                self._copy(target, start)
            elif stop - start == self.shape[self.axis] and target.flags.c_contiguous:  # a small file's, in less time
                self.id.read(h5py.h5s.ALL, h5py.h5s.ALL, target)
            else:
                super().read_direct(target, (*(slice(None) for _ in range(self.axis)), slice(start, stop)))

    def _named(self, start: int, stop: int) -> str:
        return f"samples {start}..{stop} of {self.name}"

    def _read_before(self, start: int, stop: int) -> bool:
        """Whether these rows are whole chunks that hold just values and a checksum, which was found to be right."""
        if not self._plain:
            return False
        first, last = start // self.chunks[0], -(-stop // self.chunks[0])
        whole = start == first * self.chunks[0] and stop == min(last * self.chunks[0], self.shape[0])
        return whole and self._checked.issuperset(range(first, last))

    def _copy(self, target: np.ndarray, start: int) -> None:
        """Fill the array with the chunks from ``start`` on, without the checksum, which would take as long again."""
        for place in range(0, len(target), self.chunks[0]):
            part = target[place : place + self.chunks[0]]
            _, content = self.id.read_direct_chunk((start + place, *(0 for _ in self.shape[1:])))
            part[...] = np.frombuffer(content, self.dtype, part.size).reshape(part.shape)

    @contextmanager
    def guarded(self, start: int, stop: int) -> Iterator[None]:
        """Let the rows start..stop be read inside.

        Raises:
            DataError: they aren't all there.
        """
        self._check_chunks(start, stop)
        yield
        self._witness.check(self._named(start, stop))

    def _check_chunks(self, start: int, stop: int) -> None:
        if self.is_virtual:
            self._check_sources(start, stop)
        elif self._pipeline:
            for row in range(start // self.chunks[self.axis], -(-stop // self.chunks[self.axis])):
                if row not in self._checked:
                    self._check_row(row)
                    self._checked.add(row)

    def _check_sources(self, start: int, stop: int) -> None:
        """Of a virtual dataset: all that the sources of these rows give to it, and not only to these rows."""
        for number in range(self._properties.get_virtual_count()):
            first, end = _rows(self._properties.get_virtual_vspace(number), self.shape, self.axis)
            name = self._properties.get_virtual_dsetname(number)
            if number in self._checked or first >= stop or end <= start or "%b" in name:
                continue
            for path in source_files(self._path, self._properties.get_virtual_filename(number)):
                with open_file(path) as file:
                    known = self._of_sources.setdefault((path, name), set())
                    source = Stored(path, file[name], self._witness, known)
                    source._check_chunks(*_rows(self._properties.get_virtual_srcspace(number), source.shape))
            self._checked.add(number)

    def _check_row(self, row: int) -> None:
        """See that the chunks of a row hold all of their values that are within the dataset."""
        places = [range(0, *each) for each in zip(self.shape, self.chunks, strict=True)]
        places[self.axis] = places[self.axis][row : row + 1]
        for offset in itertools.product(*places):
            if (length := self._length(offset)) is not None:
                self.check_length(offset, length)

    def check_length(self, offset: tuple[int, ...], length: int) -> None:
        """See that so many bytes are all values of a chunk that are within the dataset."""
        shape = zip(offset, self.chunks, self.shape, strict=True)
        last = [min(chunk, length - place) - 1 for place, chunk, length in shape]
        needed = (int(np.ravel_multi_index(last, self.chunks)) + 1) * self.dtype.itemsize
        if length < needed:
            first, end = offset[self.axis], offset[self.axis] + last[self.axis] + 1
            raise DataError(
                f"{self._path} is damaged: the chunk of {self.name} with the samples {first}..{end} holds "
                f"{max(0, length)} bytes where {needed} are needed; HDF5 would take what lies in memory for the "
                "rest. Copy the file again, or make it again."
            )

    @cached_property
    def _lzf(self) -> Any:
        """What counts the bytes that LZF has packed; compiled where that takes less time than to count them."""
        return load("lzf") if self.id.get_storage_size() > COMPILED_FROM else joined("lzf")

    def _length(self, offset: tuple[int, ...]) -> int | None:
        """How many bytes the filters leave of a chunk; None if that isn't known, or if HDF5 will say what is wrong."""
        info = self.id.get_chunk_info_by_coord(offset)
        used = [number for place, number in enumerate(self._pipeline) if not info.filter_mask >> place & 1][::-1]
        if info.byte_offset is None or not {*used} <= {SHUFFLE, FLETCHER32, DEFLATE, SZIP, LZF}:
            return None
        if {*used} <= {SHUFFLE, FLETCHER32}:
            return int(info.size) - CHECKSUM * used.count(FLETCHER32)
        _, content = self.id.read_direct_chunk(offset)
        limit = most(int(np.prod(self.chunks)) * self.dtype.itemsize)  # and no more, whatever it is said to be
        with suppress(zlib.error):
            for number in used:
                if number == FLETCHER32:
                    content = content[:-CHECKSUM]
                elif number == DEFLATE:
                    content = zlib.decompressobj().decompress(content, limit)
                elif number == SZIP:
                    return int.from_bytes(content[:4], "little")
                elif number == LZF:
                    length = self._lzf.unpacked(np.frombuffer(content, np.uint8))
                    return length if length >= 0 else None
            return len(content)
        return None


def _rows(space: Any, shape: tuple[int, ...], axis: int = 0) -> tuple[int, int]:
    """From which row to which a selection of a dataset goes."""
    try:
        first, last = space.get_select_bounds()
    except (RuntimeError, ValueError):  # of all, or of what may grow: it has no bounds
        return 0, shape[axis]
    return first[axis], min(last[axis] + 1, shape[axis])
