"""Reading data files: a `DataFile` is one HDF5 file, or several that form one data set."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from distnn.data.file import checks, collective
from distnn.data.file.opening import damaged, load_filters, missing_filters, named, open_file, several
from distnn.data.file.references import check_dataset, check_links
from distnn.data.file.rows import Joined, bytes_of_one, leaves
from distnn.data.file.stored import Stored, Witness
from distnn.errors import DataError, nearest

#: Up to how many bytes of a dataset its hash is of all of it; else it is of so many rows.
HASHED_BYTES, ROWS = 1024 * 1024, 8
#: The bytes to read at a time.
READ_BYTES = 4 * 1024 * 1024
#: Files that are left open: without a reference they would be closed, and closing them waits for the other ranks.
_LEFT: list[Any] = []


class DataFile:
    """A data file, opened read-only; a context manager. Opening reads its structure, `read` the values.

    Args:
        path: the HDF5 file, or a pattern such as ``shards/*.h5`` for several files that form one data set: the samples
            of each split follow each other in the order of the files' names.
        comm: the mpi4py communicator of ranks that open the file together if h5py has parallel HDF5; they must close it
            together too.

        follow: read other folders' files as well, where this one refers to them.

    Attributes:
        path: the file.
        task: ``classification``, ``regression`` or ``language``.
        classes: the class names in the order of the labels, or a language's tokens; empty for a regression.
        splits: those of train, validation and test that the file has, in that order.
        sample_shape: the shape of one sample, the same in all splits.
        target_shape: the shape of one target; ``()`` for labels.
        x_dtype: the type of the samples as stored, in this machine's byte order.
        scale: the factor by which integer samples are to be multiplied: the attribute ``scale`` of x, else 1/max of an
            unsigned type, else None (floats, signed integers, booleans and tokens are used as they are).
        together: whether the ranks have opened it together; never for joined files, or for one that refers to others.

    Raises:
        DataError: the file is missing or damaged, or isn't laid out as a data file.
    """

    def __init__(self, path: str | Path, comm: Any = None, *, follow: bool = False) -> None:
        self.path, self.follow = Path(path), follow
        self._parts: list[DataFile] = []
        paths = several(self.path)
        self.together = comm is not None and comm.size > 1 and collective.available() and not paths
        self._file: Any = None if paths else open_file(self.path, comm if self.together else None)
        try:
            if paths:
                self._join(paths)
            else:
                named(self.path, self._read_structure)()
                if self.together and self._refers_to_others():
                    self.close()
                    self.together, self._file = False, open_file(self.path)
                    named(self.path, self._read_structure)()
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:  # all of them h5py's
            self._leave()
            raise damaged(self.path, "its structure", error) from error
        except BaseException:
            self._leave()
            raise

    def _read_structure(self) -> None:
        path, file, self._witness = self.path, self._file, Witness(self.path)
        check_links(path, file, follow=self.follow)
        self.task = checks.check_task(path, file.attrs.get("task"))
        self.classes = checks.check_classes(path, self.task, file.attrs.get("classes"))
        checks.check_train(path, [name for name in file if isinstance(file.get(name), h5py.Group)])
        self.splits = tuple(name for name in checks.SPLITS if name in file)
        self._data = {split: (self._dataset(split, "x"), self._dataset(split, "y")) for split in self.splits}
        first = self._data["train"]
        for split, (x, y) in self._data.items():
            checks.check_split(path, split, self.task, x, y)
            checks.check_alike(path, split, x, y, *first)
        self.sample_shape: tuple[int, ...] = first[0].shape[1:]
        self.target_shape: tuple[int, ...] = first[1].shape[1:]
        self.x_dtype: np.dtype[Any] = first[0].dtype.newbyteorder("=")
        self.scale = self._read_scale()

    def _join(self, paths: list[Path]) -> None:
        for path in paths:
            self._parts.append(DataFile(path, follow=self.follow))
        first = self._parts[0]
        for part in self._parts[1:]:
            for what in ("task", "classes", "sample_shape", "target_shape", "x_dtype", "scale"):
                here, there = getattr(part, what), getattr(first, what)
                if here != there:
                    raise DataError(
                        f"{self.path}: {part.path} has {what} {here}, but {first.path} has {there}; files that are "
                        "joined must agree in it. Narrow the pattern, or make the files again."
                    )
        self.task, self.classes, self.scale = first.task, first.classes, first.scale
        self.sample_shape, self.target_shape, self.x_dtype = first.sample_shape, first.target_shape, first.x_dtype
        self._data = {}
        for split in checks.SPLITS:
            pairs = [part._data[split] for part in self._parts if split in part._data]
            if pairs:
                self._data[split] = (Joined([x for x, _ in pairs]), Joined([y for _, y in pairs]))
        self.splits = tuple(self._data)

    def _dataset(self, split: str, name: str) -> Any:
        group = self._file.get(split)
        if isinstance(group, h5py.Group):
            check_links(self.path, group, follow=self.follow)
        dataset = group.get(name) if isinstance(group, h5py.Group) else None
        if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
            names = list(group) if isinstance(group, h5py.Group) else []
            raise DataError(
                f"{self.path} has no dataset `{split}/{name}`: expected x (N, …) and y in the group {split}; "
                f"found {checks.listing(names)}. Make the file with `distnn data` or distnn.data.write_data."
            )
        load_filters(dataset)
        others = check_dataset(self.path, dataset, follow=self.follow)
        self._witness.add(others)
        return Stored(self.path, dataset, self._witness)

    def _read_scale(self) -> float | None:
        if self.task == "language":
            return None
        scales = {
            split: checks.check_scale(self.path, f"{split}/x", x.attrs["scale"]) if "scale" in x.attrs else None
            for split, (x, _) in self._data.items()
        }
        for split, scale in scales.items():
            if scale != scales["train"]:
                raise DataError(
                    f"{self.path}: {split}/x has the attribute scale={scale} but train/x scale={scales['train']}; "
                    "expected the same in all splits, so that all are scaled alike."
                )
        if scales["train"] is None and self.x_dtype.kind == "u":
            return 1.0 / float(np.iinfo(self.x_dtype).max)
        return scales["train"]

    @property
    def stamps(self) -> list[tuple[int, ...]]:
        """What tells the files that were opened from all others of this machine."""
        return [stamp for part in self._parts or [self] for stamp in part._witness.stamps]

    def identity(self) -> dict[str, Any]:
        """What tells this file from others, by name: its structure, and hashes of values; of large datasets, some rows.

        Raises:
            DataError: it is damaged.
        """
        found: dict[str, Any] = {"task": self.task, "classes": list(self.classes), "scale": self.scale}
        for split, pair in self._data.items():
            for name, dataset in zip("xy", pair, strict=True):
                try:
                    found[f"{split}/{name}"] = f"{dataset.dtype} {dataset.shape}, hash {_hash(dataset)}"
                except (OSError, RuntimeError) as error:
                    raise damaged(self.path, f"{split}/{name}", error) from error
        return found

    def count(self, split: str) -> int:
        """The number of samples in a split; DataError for a split that the file doesn't have."""
        return int(self._datasets(split)[0].shape[0])

    def chunk(self, split: str) -> int:
        """The number of samples in a chunk of a split, which are best read together; 1 if there are no chunks."""
        chunks = self._datasets(split)[0].chunks
        return int(chunks[0]) if chunks else 1

    def sample_bytes(self, split: str) -> int:
        """The bytes of one sample as stored, without its target."""
        return bytes_of_one(self._datasets(split)[0])

    def bytes(self, split: str) -> int:
        """The bytes of a split in memory, as `read` returns it."""
        return self.count(split) * sum(bytes_of_one(dataset) for dataset in self._datasets(split))

    def _datasets(self, split: str) -> tuple[Any, Any]:
        if split not in self._data:
            raise DataError(
                f"{self.path} has no split `{split}`{nearest(split, self.splits)}; it holds {', '.join(self.splits)}."
            )
        return self._data[split]

    def read(self, split: str, start: int = 0, stop: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Read the samples start..stop of a split, one contiguous slab, and check them.

        Args:
            split: one of `splits`.
            start: the first sample.
            stop: one past the last; the end of the split if None.

        Returns:
            x (stop − start, …) as stored (`x_dtype`, not scaled) and y; boolean labels are returned as integers.

        Raises:
            DataError: no such split, NaN or infinity, a label outside the classes, or a damaged file.
            IndexError: start or stop is outside the split.
        """
        count = self.count(split)
        stop = count if stop is None else stop
        if not 0 <= start <= stop <= count:
            raise IndexError(f"samples {start}..{stop} of {self.path}: {split} holds {count}")
        samples = np.empty((stop - start, *self.sample_shape), self.x_dtype)
        targets = np.empty((stop - start, *self.target_shape), self.y_dtype(split))
        self.read_into(split, start, samples, targets)
        return samples, targets

    def y_dtype(self, split: str) -> np.dtype[Any]:
        """The type in which `read` returns the targets of a split."""
        dtype: np.dtype[Any] = self._datasets(split)[1].dtype.newbyteorder("=")
        return np.dtype(np.uint8) if dtype.kind == "b" else dtype

    def read_into(self, split: str, start: int, x: np.ndarray, y: np.ndarray, *, by_all: bool = False) -> None:
        """Fill the contiguous arrays ``x`` and ``y`` with the samples from ``start`` on, as `read` would return them.

        With ``by_all``, for which the file must be open `together`, every rank must call it for its own samples, which
        may be none: a few ranks read the file, and send the others their samples.

        Raises:
            DataError: as `read` does; with ``by_all`` the other ranks may then wait for this one.
        """
        stop = start + len(x)
        stored = self._datasets(split)
        try:
            for source, array in zip(stored, (x, y), strict=True):
                target = array.view(np.bool_) if source.dtype.kind == "b" else array  # a byte in memory too
                if by_all:
                    with source.guarded(start, stop):
                        collective.read(source, start, target)
                else:
                    source.read_direct(target, np.s_[start:stop])
        except (OSError, RuntimeError) as error:
            raise self._unreadable(split, start, stop, error) from error
        checks.check_values(self.path, split, start, x, y, len(self.classes))

    def _unreadable(self, split: str, start: int, stop: int, error: Exception) -> DataError:
        """The error that says why samples can't be read: a filter is missing, or the file is damaged."""
        for dataset in self._datasets(split):
            for part in leaves(dataset):
                if missing := missing_filters(part):
                    return DataError(
                        f"{self.path}: samples {start}..{stop} of {split} can't be read, because they are compressed "
                        f"by {missing[0]}, which this HDF5 lacks. Install the filters (pip install hdf5plugin), or "
                        f"write the file again with gzip or without compression (h5repack -f GZIP=4 OLD NEW)."
                    )
        return damaged(self.path, f"samples {start}..{stop} of {split}", error)

    def _refers_to_others(self) -> bool:
        """Whether some of its samples lie in other files, which ranks can't open together."""
        datasets = [dataset for pair in self._data.values() for dataset in pair]
        return any(dataset.is_virtual or dataset.external for dataset in datasets)

    def _leave(self) -> None:
        """Close the file after a failure, unless that would wait for the other ranks, which may not have failed."""
        if self.together:
            _LEFT.append(self._file)
        else:
            self.close()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        for part in self._parts:
            part.close()
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> DataFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._leave()


def _hash(dataset: Any) -> str:
    """Of all of a small dataset, or of some rows of a large one.

    Raises:
        OSError, RuntimeError: h5py's, for what can't be read.
    """
    rows, hasher = dataset.shape[0], hashlib.sha256()
    small = rows * bytes_of_one(dataset) <= HASHED_BYTES
    for start, stop in [(0, rows)] if small else [(row, row + 1) for row in np.linspace(0, rows - 1, ROWS, dtype=int)]:
        values = np.empty((stop - start, *dataset.shape[1:]), dataset.dtype)
        dataset.read_direct(values, np.s_[start:stop])
        hasher.update(values.tobytes())
    return hasher.hexdigest()[:16]
