"""Reading data files: a `DataFile` is one HDF5 file, or several that form one data set."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from distnn.data.cutting import Cut
from distnn.data.file import checks, collective, opening
from distnn.data.file.fields import AS_USUAL, Description
from distnn.data.file.joining import Joined, join, join_samples, several
from distnn.data.file.many import MOST_OPEN
from distnn.data.file.opening import damaged, named, open_file
from distnn.data.file.rows import Rows, bytes_of_one, hash_of, leaves, names_of
from distnn.data.file.splitting import numbers_in, numbers_of, origin, picked
from distnn.data.file.stored import Stored
from distnn.data.file.structure import structure
from distnn.data.file.using import NoSplitError
from distnn.data.transforms.chains import Chains
from distnn.errors import DataError, nearest

#: The bytes to read at a time.
READ_BYTES = 4 * 1024 * 1024
#: Of so many files with one sample each all fields are read before those of others.
SAMPLE_FILES = MOST_OPEN // 2
#: Files that are left open: without a reference they would be closed, and closing them waits for the other ranks.
_LEFT: list[Any] = []


class Form(NamedTuple):
    """The shape of one sample of a field, and the type in memory."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class DataFile:
    """A data file, opened read-only; a context manager. Opening reads its structure, `read` the values.

    Args:
        path: the HDF5 file, or a pattern such as ``shards/*.h5`` for several files that form one data set: the samples
            of each split follow each other in the order of the files' names. With ``{split}`` in it, each file is of
            the split that its name says. At most `distnn.data.file.many.MOST_OPEN` files are open at a time.
        comm: the mpi4py communicator of ranks that open the file together if h5py has parallel HDF5; they must close it
            together too.
        follow: read other folders' files as well, where this one refers to them.
        description: where its fields lie and what they are for, as far as that isn't as usual.
        beat: called after each of several files that was opened.

    Attributes:
        path: the file.
        task: ``classification``, ``regression``, ``segmentation`` or ``language``.
        classes: the class names in the order of the labels, or a language's tokens; empty for a regression.
        splits: those of train, validation and test that the file has, in that order; or the one that its purpose is.
        fields: the names of what there is of each sample, the same in all splits: x, y and, where they are there,
            weight and mask (`distnn.data.file.checks.check_fields`).
        sample_shape: the shape of one sample, the same in all splits.
        target_shape: the shape of one target; ``()`` for labels of a classification.
        x_dtype: the type of the samples as stored, in this machine's byte order.
        scale: the factor by which samples are to be multiplied: the attribute ``scale`` of x; None without one.
        chains: the transforms, for samples and targets of these shapes.
        together: whether the ranks have opened it together; never for joined files, nor for one that refers to others
            or whose fields don't lie there as they are read.
        channels_first: whether the samples look like images whose channels come first, and nobody said how they stand.

    Raises:
        DataError: the file is missing or damaged, or isn't laid out as a data file.
    """

    def __init__(
        self,
        path: str | Path,
        comm: Any = None,
        *,
        follow: bool = False,
        description: Description = AS_USUAL,
        beat: Callable[[], object] = lambda: None,
    ) -> None:
        self.path, self.follow, self.description = Path(path), follow, description
        place = (description.purpose and description.purpose.place) or self.path
        self._many: Joined | None = None
        files = several(place, comm)
        plain = not files and description.cut is None
        self.together = comm is not None and comm.size > 1 and collective.available() and plain
        self._file: Any = None if files else open_file(place, comm if self.together else None)
        try:
            if files:
                self._join(files, comm, beat)
            else:
                named(self.path, self._read_structure)()
                if self.together and not self._as_stored():
                    self.close()
                    self.together, self._file = False, open_file(place)
                    named(self.path, self._read_structure)()
            if description.cut is not None and description.cut.made:
                parts = self._data, self._group, self.task, self.classes
                self._split(numbers_of(self.path, description.cut, *parts))
            shapes = {"x": self.sample_shape, "y": self.target_shape}
            self.chains = Chains(self.description.transforms, self.task, shapes, self.scale)
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:  # all of them h5py's
            self._leave()
            raise damaged(self.path, "its structure", error) from error
        except BaseException:
            self._leave()
            raise

    def _read_structure(self) -> None:
        found = structure(self.path, self._file, self.description, follow=self.follow)
        self.task, self.classes, self.scale = found.task, found.classes, found.scale
        self.channels_first, self._data, self._found = found.channels_first, found.data, found.datasets
        self._group, purpose = found.group, self.description.purpose
        self.splits, first = tuple(found.data), next(iter(found.data.values()))
        self.fields = tuple(first) if purpose is None or purpose.answers else ("x",)
        self.sample_shape: tuple[int, ...] = first["x"].shape[1:]
        self.target_shape: tuple[int, ...] = purpose.target_shape if purpose else first["y"].shape[1:]
        self.x_dtype: np.dtype[Any] = first["x"].dtype.newbyteorder("=")

    def _join(self, files: list[tuple[str, Path]], comm: Any, beat: Callable[[], object]) -> None:
        cut = self.description.cut
        group = Cut(group=cut.group) if cut and cut.group else None
        part = replace(self.description, cut=group, transforms={})

        def opened(path: Path) -> DataFile:
            return DataFile(path, follow=self.follow, description=part)

        if part.one_sample_files:
            datasets = part.datasets()
            found = join_samples(self.path, files, opened, datasets, comm, follow=self.follow, beat=beat)
        else:
            try:
                found = join(self.path, files, opened, beat)
            except NoSplitError:  # not every file need have the one that is used
                found = join(self.path, [each for each in files if _has_split(opened, each[1])] or files, opened, beat)
        self._many, first = found, found.first
        self.task, self.classes, self.fields, self.scale = first.task, first.classes, first.fields, first.scale
        self.sample_shape, self.target_shape, self.x_dtype = first.sample_shape, first.target_shape, first.x_dtype
        self.channels_first, self._data, self._group = first.channels_first, found.data, found.group
        self.splits = tuple(found.data)

    def _split(self, numbers: Mapping[str, np.ndarray]) -> None:
        """Cut the samples for training into splits, each of those with these numbers."""
        self._numbers, self._data = numbers, picked(self._data, numbers)
        self.splits = tuple(self._data)

    @property
    def held(self) -> tuple[str, ...]:
        """The names of what there is of each sample, whether or not the file was opened for it."""
        return tuple(next(iter(self._data.values())))

    @property
    def group(self) -> Rows | None:
        """What a cut into splits goes by, for each sample for training; None if it doesn't."""
        return self._group

    @property
    def notes(self) -> list[str]:
        """What is to be said once of how the file is read."""
        return self._many.notes if self._many else self._found.notes

    def scale_by_type(self) -> None:
        """Scale unsigned integers without the attribute ``scale`` by 1/max of their type, as all once were."""
        if self.scale is None and self.x_dtype.kind == "u" and self.task != "language":
            self.scale = 1.0 / float(np.iinfo(self.x_dtype).max)
            shapes = {"x": self.sample_shape, "y": self.target_shape}
            self.chains = Chains(self.description.transforms, self.task, shapes, self.scale)

    @property
    def stamps(self) -> list[tuple[int, ...]]:
        """What tells the files that were opened from all others of this machine."""
        return self._many.stamps if self._many else self._found.witness.stamps

    def identity(self) -> dict[str, Any]:
        """What tells this file from others, by name: its structure, and hashes of values; of large datasets, some rows.

        Raises:
            DataError: it is damaged.
        """
        found: dict[str, Any] = {"task": self.task, "classes": list(self.classes), "scale": self.scale}
        found |= {f"names of {name}": list(self.names(name)) for name in self.fields}
        files = f" of the files {self._many.digest}" if self._many and self._many.digest else ""
        for split, fields in self._data.items():
            for name, dataset in ((name, fields[name]) for name in self.fields):
                try:
                    found[f"{split}/{name}"] = f"{dataset.dtype} {dataset.shape}, hash {hash_of(dataset)}{files}"
                except (OSError, RuntimeError) as error:
                    raise damaged(self.path, f"{split}/{name}", error) from error
        return found

    def names(self, field: str) -> tuple[str, ...]:
        """What the places along a field's last axis are called, such as features or targets; empty if unknown."""
        return names_of(self._data[self.splits[0]][field])

    def remarks(self) -> list[str]:
        """What is to be said once of how the file is read, and which of its datasets are not used."""
        first: DataFile = self._many.first if self._many else self
        found = self.notes
        used = [rows for fields in first._data.values() for rows in fields.values()]
        unused = first._found.unused([*used, first._group] if first._group else used)
        if unused and self.description.purpose is None:
            found.append(f"not used: {checks.listing(unused)}")
        return list(dict.fromkeys(found))

    def again(self) -> DataFile:
        """The same file, opened once more by this rank alone."""
        if self._many:
            return copy.copy(self)  # files are opened as they are read
        file = DataFile(self.path, follow=self.follow, description=replace(self.description, cut=None))
        if self.description.cut is not None and self.description.cut.made:
            file._split(self._numbers)
        return file

    def rows(self, split: str) -> Mapping[str, Rows]:
        """By field, what a split is read from."""
        return self._datasets(split)

    def count(self, split: str) -> int:
        """The number of samples in a split; DataError for a split that the file doesn't have."""
        return int(self._datasets(split)["x"].shape[0])

    def numbers(self, split: str, start: int, stop: int) -> np.ndarray:
        """Which samples of the file the samples start..stop of a split are; of many files, counted through them."""
        return numbers_in(self._datasets(split)["x"], start, stop)

    def chunk(self, split: str) -> int:
        """The number of samples in a chunk of a split, which are best read together; 1 if there are no chunks."""
        chunks = self._datasets(split)["x"].chunks
        return int(chunks[0]) if chunks else 1

    def sample_bytes(self, split: str) -> int:
        """The bytes of one sample as stored, without its target."""
        return bytes_of_one(self._datasets(split)["x"])

    def bytes(self, split: str) -> int:
        """The bytes of a split in memory, all of its fields."""
        return self.count(split) * sum(bytes_of_one(dataset) for dataset in self._datasets(split).values())

    def _datasets(self, split: str) -> Mapping[str, Any]:
        if split not in self._data:
            raise DataError(
                f"{self.path} has no split `{split}`{nearest(split, self.splits)}; it holds {', '.join(self.splits)}."
            )
        return self._data[split]

    def read(self, split: str, start: int = 0, stop: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Read the samples start..stop of a split and their targets: x and y of `read_fields`."""
        arrays = self.read_fields(split, start, stop)
        return arrays["x"], arrays["y"]

    def read_fields(self, split: str, start: int = 0, stop: int | None = None) -> dict[str, np.ndarray]:
        """Read the samples start..stop of a split, one contiguous slab, and check them.

        Args:
            split: one of `splits`.
            start: the first sample.
            stop: one past the last; the end of the split if None.

        Returns:
            By field, (stop − start, …) as stored: x is not scaled; booleans, but in x, are returned as integers.

        Raises:
            DataError: no such split, NaN or infinity, a label outside the classes, or a damaged file.
            IndexError: start or stop is outside the split.
        """
        count = self.count(split)
        stop = count if stop is None else stop
        if not 0 <= start <= stop <= count:
            raise IndexError(f"samples {start}..{stop} of {self.path}: {split} holds {count}")
        arrays = {name: np.empty((stop - start, *form.shape), form.dtype) for name, form in self.forms(split).items()}
        self.read_into(split, start, arrays)
        return arrays

    @property
    def weight_shape(self) -> tuple[int, ...] | None:
        """The shape of one sample's weights: (), or that of its target if they or a mask have it; None without any."""
        forms = self.forms(self.splits[0])
        shapes = [forms[name].shape for name in self.fields if name not in checks.NEEDED]
        return max(shapes, key=len) if shapes else None

    def forms(self, split: str) -> dict[str, Form]:
        """By field, what `read_fields` returns of one sample of a split."""
        return {name: _form(name, self._datasets(split)[name]) for name in self.fields}

    def answers(self, split: str, start: int, stop: int) -> np.ndarray | None:
        """What is to be predicted for the samples start..stop of a split; None where that isn't in the file.

        Raises:
            DataError: as `read` does.
        """
        fields = {name: rows for name, rows in self._datasets(split).items() if name != "x"}
        if "y" not in fields:
            return None
        forms = {name: _form(name, rows) for name, rows in fields.items()}
        arrays = {name: np.empty((stop - start, *form.shape), form.dtype) for name, form in forms.items()}
        if start < stop:
            self.read_into(split, start, arrays)  # what a mask leaves out may be missing
        return arrays["y"]

    def read_into(self, split: str, start: int, arrays: Mapping[str, np.ndarray], *, by_all: bool = False) -> None:
        """Fill contiguous arrays, by field, with the samples from ``start`` on, as `read_fields` would return them.

        With ``by_all``, for which the file must be open `together`, every rank must call it for its own samples, which
        may be none: a few ranks read the file, and send the others their samples.

        Raises:
            DataError: as `read` does; with ``by_all`` the other ranks may then wait for this one.
        """
        stored, count = self._datasets(split), len(next(iter(arrays.values())))
        if self.description.one_sample_files and count > SAMPLE_FILES:  # those of all fields, before they are closed
            for first in range(0, count, SAMPLE_FILES):
                part = {name: array[first : first + SAMPLE_FILES] for name, array in arrays.items()}
                self.read_into(split, start + first, part)
            return
        stop = start + count
        try:
            for name, array in arrays.items():
                source = stored[name]
                target = array.view(np.bool_) if source.dtype.kind == "b" else array  # a byte in memory too
                if by_all:
                    with source.guarded(start, stop):
                        collective.read(source, start, target)
                else:
                    source.read_direct(target, np.s_[start:stop])
        except (OSError, RuntimeError) as error:
            raise self.unreadable(split, start, stop, error) from error
        self._check(split, start, {name: array for name, array in arrays.items() if not self.chains.unchecked(name)})

    def _check(self, split: str, start: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Check values; errors name the file that a sample is in, and its number there."""
        known = self.task, len(self.classes), self.description.ignore
        try:
            checks.check_values(self.path, split, start, arrays, *known)
        except DataError:
            for place in range(max(map(len, arrays.values()))):
                sample = {name: array[place : place + 1] for name, array in arrays.items()}
                where = origin(self.path, split, self._data[split]["x"], start + place)
                checks.check_values(*where, sample, *known)
            raise

    def unreadable(self, split: str, start: int, stop: int, error: Exception) -> DataError:
        """The error that says why samples can't be read."""
        parts = [part for dataset in self._datasets(split).values() for part in leaves(dataset)]
        return opening.unreadable(self.path, parts, f"samples {start}..{stop} of {split}", error)

    def _as_stored(self) -> bool:
        """Whether all samples lie in this file, and as they are read, so that ranks can read them together."""
        datasets = [dataset for fields in self._data.values() for dataset in fields.values()]
        return all(isinstance(each, Stored) and not (each.is_virtual or each.external) for each in datasets)

    def _leave(self) -> None:
        """Close the file after a failure, unless that would wait for the other ranks, which may not have failed."""
        if self.together:
            _LEFT.append(self._file)
        else:
            self.close()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._many:
            self._many.first.close()
            self._many.files.close()
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> DataFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._leave()


def _has_split(opened: Callable[[Path], DataFile], path: Path) -> bool:
    """Whether the split that is used is in a file."""
    try:
        opened(path).close()
    except NoSplitError:
        return False
    return True


def _form(field: str, dataset: Any) -> Form:
    """What is read of a field; booleans become integers, but in x."""
    dtype: np.dtype[Any] = dataset.dtype.newbyteorder("=")
    return Form(dataset.shape[1:], np.dtype(np.uint8) if dtype.kind == "b" and field != "x" else dtype)
