"""Finding the datasets of fields in an open file, and what is read of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py

from distnn.data.file import foreign, views
from distnn.data.file.checks import Unsettled, listing
from distnn.data.file.fields import NAMES, SPLIT, USUAL, Location
from distnn.data.file.opening import load_filters
from distnn.data.file.references import check_dataset, check_links
from distnn.data.file.rows import Rows, leaves, names_of
from distnn.data.file.stored import Stored, Witness
from distnn.errors import DataError, nearest

#: So many of a file's datasets and groups are looked at to name them.
LISTED = 1000


class Datasets:
    """The datasets of an open file.

    Arguments:
        path: of the file.
        file: it, as h5py opens it.
        follow: whether other folders' files may be read.
        whole: whether each dataset is a single row.

    Attributes:
        witness: of all files that datasets were found to lie in.
        notes: what is to be said once of how the file is read.
    """

    def __init__(self, path: Path, file: Any, *, follow: bool, whole: bool = False) -> None:
        self._path, self._file, self._follow, self._whole = path, file, follow, whole
        self._checked: set[str] = set()
        self.witness, self.notes = Witness(path), list[str]()

    def splits(self, fields: Mapping[str, Location], *others: str) -> dict[str, str]:
        """What each split that is there is called, and ``others``; without `SPLIT` in any path, all is for training."""
        paths = [path for location in fields.values() for path in location.path]
        if not any(SPLIT in path for path in paths):
            return {"train": ""}
        found = {}
        for split, names in {**{other: (other,) for other in others}, **NAMES}.items():
            for name in (spelled for each in names for spelled in (each, each.capitalize(), each.upper())):
                places = [_until_split(path).replace(SPLIT, name) for path in paths if SPLIT in path]
                there = [place for place in places if self._walk(place) is not None]
                if there:
                    found[split] = name
                    if name != split:
                        self.notes.append(f"{there[0]} is taken for {split}")
                    break
        return found

    def has(self, path: str) -> bool:
        """Whether there is anything at a path."""
        return self._walk(path) is not None

    def rows(self, field: str, location: Location, name: str) -> Rows:
        """What a field is read from, in the split that is called so.

        Raises:
            DataError: naming what isn't there, and the nearest that is.
        """
        try:
            parts = [self._part(path, location) for path in location.of(name)]
            return self._narrowed(field, location, name, parts)
        except DataError as error:
            raise (error if location == USUAL.get(field) else error.at("data", field)) from None

    def _narrowed(self, field: str, location: Location, name: str, parts: list[Any]) -> Rows:
        paths = location.of(name)
        rows: Rows = parts[0]
        if len(parts) > 1:
            parts = [views.as_column(part, path.rpartition("/")[2]) for part, path in zip(parts, paths, strict=True)]
            for part, path in zip(parts, paths, strict=True):
                if part.shape[:-1] != parts[0].shape[:-1]:
                    raise DataError(
                        f"{self._path}: {path} has the shape {part.shape} but {paths[0]} {parts[0].shape}; expected "
                        f"the same but for the last number, along which the parts of {field} are joined."
                    )
            rows = views.Beside(parts)
        for each in (rows, *parts):
            if views.loses(getattr(each, "types", ())):
                self.notes.append(f"{field} mixes integers of 64 bits with others: from 2^53 on they are rounded")
                break
        if location.channels:
            width = rows.shape[-1] if len(rows.shape) > 1 else 0
            if bad := [channel for channel in location.channels if not 0 <= channel < width]:
                raise DataError(
                    f"{self._path}: {field} has no channel {bad[0]}: its shape is {rows.shape}, whose last number "
                    f"counts channels from 0. Correct data.{field}.channels, or its layout."
                )
            rows = views.picked(rows, location.channels)
        if field != "x" and len(location.columns) == 1 and len(paths) == 1 and len(rows.shape) == 2:
            return views.reshaped(rows, rows.shape[:1], names_of(rows))
        return rows

    def _part(self, path: str, location: Location) -> Rows:
        """The rows of one path."""
        thing = self._walk(path)
        if isinstance(thing, h5py.Group):
            foreign.refuse_matlab(self._path, thing)
            if blocks := foreign.frame_blocks(thing):
                return self._framed(thing, blocks, location)
            if isinstance(thing.get("table"), h5py.Dataset) and "pandas_type" in thing.attrs:
                path, thing = f"{path}/table", self._walk(f"{path}/table")
        if not isinstance(thing, h5py.Dataset) or thing.shape is None:
            raise self._absent(path, thing)
        foreign.refuse_matlab(self._path, thing)
        load_filters(thing)
        self.witness.add(check_dataset(self._path, thing, follow=self._follow))
        if thing.dtype.names is not None:
            return self._columns(thing, location)
        if thing.dtype.kind == "O" and h5py.check_string_dtype(thing.dtype) is None:
            raise DataError(f"{self._path}: {path} holds references or lists, and no numbers; expected numbers.")
        return self._array(thing, location)

    def _array(self, dataset: Any, location: Location) -> Rows:
        layout, count = location.layout or "", len(dataset.shape) + self._whole
        if self._whole and layout == "reversed":  # without the axis of samples, which the dataset lacks
            layout = "reversed_samples"
        order = views.LAYOUTS.get(layout) if count > 1 else None
        axes = order(count) if order else (0,)
        stored: Any = Stored(self._path, dataset, self.witness, axis=0 if self._whole else axes[0])
        stored.names = foreign.place_names(dataset)
        if location.layout is None:
            foreign.as_it_stands(dataset, self.notes)
        if self._whole:
            stored = views.Single(stored)
        rows = foreign.as_meant(views.Turned(stored, axes) if order else stored, dataset, self.notes)
        if location.columns:
            return views.picked(rows, self._places(dataset, location.columns, stored.names))
        return rows

    def _columns(self, table: Any, location: Location) -> Rows:
        """Columns of a table, which is a dataset of a compound type."""
        known = foreign.table_columns(table)
        if not location.columns:
            raise self._which(table, f"a table, of the type {table.dtype}", known)
        if len(table.shape) != 1 or self._whole:
            why = "; but each file is said to be one sample" if self._whole else ""
            raise DataError(f"{self._path}: {table.name} is a table of the shape {table.shape}; expected (N,){why}.")
        self._places(table, location.columns, tuple(known))
        for name in location.columns:
            kind = table.dtype[known[name][0]].base
            text = kind.kind == "S" or h5py.check_string_dtype(kind) is not None
            if kind.kind not in "biuf" and not (text and len(location.columns) == 1):
                raise DataError(
                    f"{self._path}: the column {name} of {table.name} has the type {kind}, which distnn can't compute "
                    "with; expected columns of numbers. Leave it out, or write it as numbers."
                )
        return views.TableColumns(
            Stored(self._path, table, self.witness), {name: known[name] for name in location.columns}
        )

    def _framed(self, group: Any, blocks: list[str], location: Location) -> Rows:
        """Columns of a data frame that lie in several datasets, by their types."""
        whole = {block: self._part(f"{group.name}/{block}", Location(())) for block in blocks}
        homes = {name: (block, place) for block, rows in whole.items() for place, name in enumerate(names_of(rows))}
        if not location.columns:
            raise self._which(group, "a data frame", homes)
        self._places(group, location.columns, tuple(homes))
        parts = [views.picked(whole[homes[name][0]], [homes[name][1]]) for name in location.columns]
        return parts[0] if len(parts) == 1 else views.Beside(parts)

    def _places(self, thing: Any, wanted: tuple[str, ...], known: tuple[str, ...]) -> list[int]:
        """Where the wanted columns are among the known ones."""
        for name in wanted:
            if name not in known:
                what = f"its columns are {listing(known)}" if known else "nothing says what its columns are called"
                raise DataError(
                    f"{self._path}: {thing.name} has no column {name!r}{nearest(name, known)}; {what}."
                    + ("" if known else " Give their numbers from 0 as channels.")
                )
        return [known.index(name) for name in wanted]

    def _walk(self, path: str) -> Any:
        """What is at a path; None for nothing. Links that lead out of the file's folder are refused on the way."""
        here = self._file
        for word in path.strip("/").split("/"):
            if not isinstance(here, h5py.Group):
                return None
            if here.name not in self._checked:
                check_links(self._path, here, follow=self._follow)
                self._checked.add(here.name)
            here = here.get(word)
        return here

    def _which(self, thing: Any, what: str, columns: Iterable[str]) -> DataError:
        """The error for a table without a choice of columns."""
        names = list(columns)
        return DataError(
            f"{self._path}: {thing.name} is {what}; its columns are {listing(names)}. "
            f'Say which are meant: {{path = "{thing.name.lstrip("/")}", columns = [{_quoted(names[:3])}]}}.'
        )

    def _absent(self, path: str, thing: Any) -> DataError:
        """The error for a path at which there is no dataset."""
        if isinstance(thing, h5py.Group):
            return DataError(f"{self._path}: {path} is a group, which holds {listing(thing)}; name a dataset.")
        group, _, field = path.rpartition("/")
        if field in USUAL and group in sum(NAMES.values(), ()):
            there = self._walk(group)
            names = list(there) if isinstance(there, h5py.Group) else []
            return Unsettled(
                f"{self._path} has no dataset `{path}`: expected x (N, …) and y in the group {group}; found "
                f"{listing(names)}. Make the file with `distnn data` or distnn.data.write_data."
            )
        names = list(self.all())
        return DataError(f"{self._path} has no dataset `{path}`{nearest(path, names)}; it has {listing(names)}.")

    def all(self) -> dict[str, Any]:
        """Datasets of the file that hold something of their own, by name: the first of them."""
        found: dict[str, Any] = {}
        left = iter(range(LISTED))

        def collect(name: str, thing: Any) -> bool | None:
            if isinstance(thing, h5py.Dataset) and not foreign.beside_data(name, thing):
                found[name] = thing
            return True if next(left, None) is None else None

        with suppress(OSError, RuntimeError, KeyError, TypeError, ValueError):  # what isn't used may be damaged
            self._file.visititems(collect)
        return found

    def unused(self, used: Iterable[Any]) -> list[str]:
        """The names of the datasets from which nothing of these rows is read."""
        known = {leaf.id for rows in used for leaf in leaves(rows)}
        return [name for name, thing in self.all().items() if thing.id not in known]


def _until_split(path: str) -> str:
    """A path up to the word that depends on the split."""
    before, _, after = path.partition(SPLIT)
    return f"{before}{SPLIT}{after.partition('/')[0]}"


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
