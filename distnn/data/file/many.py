"""Data sets of many files, of which a bounded number is open at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import RLock
from typing import Any, Protocol

import numpy as np

from distnn.arrays import Array
from distnn.data.file.rows import Rows
from distnn.errors import DataError

#: How many files of a data set are open at a time. Systems allow a process 1024 in all, or 256.
MOST_OPEN = 64


class Readable(Protocol):
    """A file that is open."""

    path: Path

    def rows(self, split: str) -> Mapping[str, Rows]:
        """By field, what a split is read from."""

    @property
    def group(self) -> Rows | None:
        """What a cut into splits goes by, for each sample for training."""

    def unreadable(self, split: str, start: int, stop: int, error: Exception) -> DataError:
        """The error that says why samples can't be read."""

    def close(self) -> None:
        """Close it."""


#: Stands for `Readable.group` where else a field is named.
GROUP = "group"


def rows_of(part: Readable, split: str, field: str) -> Any:
    """What a field, or `GROUP`, is read from."""
    return part.group if field == GROUP else part.rows(split)[field]


class OpenFiles:
    """Files that are opened when they are read, and closed when others were read since then.

    Threads may share them: one reads at a time, as they do in HDF5 anyway.

    Arguments:
        paths: of the files.
        opened: opens one.
        most: how many are open at a time.
    """

    def __init__(self, paths: Sequence[Path], opened: Callable[[Path], Readable], most: int = MOST_OPEN) -> None:
        self.paths, self.lock = paths, RLock()
        self._opened, self._most = opened, most
        self._open: OrderedDict[int, Readable] = OrderedDict()

    def __getitem__(self, number: int) -> Readable:
        """The file of this number, open, until another is asked for."""
        if number in self._open:
            self._open.move_to_end(number)
        else:
            while len(self._open) >= self._most:
                self._open.popitem(last=False)[1].close()
            self._open[number] = self._opened(self.paths[number])
        return self._open[number]

    def close(self) -> None:
        """Close those that are open; they are opened again if they are read again."""
        with self.lock:
            while self._open:
                self._open.popitem()[1].close()


class Across:
    """The rows of a field in many files, one file's after the other's.

    Arguments:
        files: the files.
        numbers: of those that it is about, in order.
        lengths: how many rows each of them has.
        split, field: what is read of each.
        like: the rows of one of them: the others have the same shape but for the number of rows.
        dtype: of the rows, which holds all values of each file's type; that of ``like`` if None.
    """

    def __init__(
        self,
        files: OpenFiles,
        numbers: Array,
        lengths: Array,
        split: str,
        field: str,
        like: Rows,
        dtype: np.dtype[Any] | None = None,
    ) -> None:
        self.parts: tuple[Rows, ...] = ()  # none that stays open
        self.files, self._numbers, self._name = files, numbers, (split, field)
        self.starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)
        self.shape = (int(self.starts[-1]), *like.shape[1:])
        self.scattered = len(numbers) > MOST_OPEN
        self.dtype, self.chunks = like.dtype if dtype is None else dtype, like.chunks
        self.names: tuple[str, ...] = getattr(like, "names", ())

    def read_direct(self, target: Array, where: slice) -> None:
        """Read the rows start..stop into ``target``.

        Raises:
            DataError: a file isn't any more what it was.
        """
        first = int(np.searchsorted(self.starts, where.start, side="right")) - 1
        end = int(np.searchsorted(self.starts, where.stop, side="left"))
        for place in range(max(0, first), end):
            begin, finish = int(self.starts[place]), int(self.starts[place + 1])
            start, stop = max(where.start, begin), min(where.stop, finish)
            if start < stop:
                inside = slice(start - begin, stop - begin)
                with self.files.lock:
                    part = self.files[int(self._numbers[place])]
                    self._read(part, target[start - where.start : stop - where.start], inside, finish - begin)

    def _read(self, part: Readable, target: Array, where: slice, length: int) -> None:
        """Read rows of one file, which is to have as many as ``length``."""
        rows = rows_of(part, *self._name)
        if rows.shape != (length, *self.shape[1:]):
            raise DataError(
                f"{part.path} has changed since it was first opened: {'/'.join(self._name)} now has the shape "
                f"{rows.shape}, and had {(length, *self.shape[1:])}. Start again, and leave data in place while they "
                "are read."
            )
        own = rows.dtype.newbyteorder("=")
        if not np.can_cast(own, self.dtype):  # HDF5 would cut off what doesn't fit
            raise DataError(
                f"{part.path}: {'/'.join(self._name)} has the type {own}, which {self.dtype}, that of the files that "
                "it is joined with, doesn't hold. Write them with one type."
            )
        try:
            if own == target.dtype:
                rows.read_direct(target, where)
            else:
                values = np.empty(target.shape, own)
                rows.read_direct(values, where)
                np.copyto(target, values)
        except (OSError, RuntimeError) as error:
            raise part.unreadable(self._name[0], where.start, where.stop, error) from error

    @property
    def paths(self) -> list[Path]:
        """The files, in the order of their rows."""
        return [self.files.paths[number] for number in self._numbers.tolist()]

    @property
    def lengths(self) -> list[int]:
        """How many rows each of them has."""
        lengths: list[int] = np.diff(self.starts).tolist()
        return lengths

    def origin(self, row: int) -> tuple[Path, str, int]:
        """The file that holds a row, the split that it is of there, and its number there."""
        place = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.files.paths[int(self._numbers[place])], self._name[0], row - int(self.starts[place])
