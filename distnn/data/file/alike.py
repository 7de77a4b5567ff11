"""Files that differ from one that was looked at whole in nothing but the values of datasets: opened in little time.

Of hundreds of thousands of files in an epoch, each would otherwise be looked at as if nothing was known of it. What is
compared is all that the meaning of the values could follow from: which things are in the groups on the way to each
dataset, and that these are no links; the attributes of all of them; shapes, types and chunks. A file that differs in
any of it is opened as every other, which finds out what that means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5i, h5l, h5t

from distnn.data.file.opening import load_filters, named, open_file, unreadable
from distnn.data.file.references import check_dataset
from distnn.data.file.rows import Rows
from distnn.data.file.stored import Stored, Witness
from distnn.data.file.views import Single
from distnn.errors import DataError

#: Datasets of a pandas frame: what they mean is in the values of others.
_FRAME = re.compile(r".*/block\d+_values")


class Examined(Protocol):
    """A file of one sample that was looked at whole."""

    @property
    def group(self) -> Rows | None:
        """What a cut into splits goes by."""

    def rows(self, split: str) -> Mapping[str, Rows]:
        """By field, what a split is read from."""

    def close(self) -> None:
        """Close it."""


class Pattern:
    """What files have in common with one.

    Arguments:
        path: of it.
        whole: opens a file, which is then looked at whole.
        follow: read other folders' files as well, where files refer to them.
    """

    def __init__(self, path: Path, whole: Callable[[Path], Examined], *, follow: bool) -> None:
        one = whole(path)
        self.rows, self.group, self._follow = one.rows("train"), one.group, follow
        used = [*self.rows.values(), *([self.group] if self.group else [])]
        self.places = [place for rows in used for place in _places(rows)]
        self._axes = [place.parts[0].axis for place in self.places]
        self._names = [str(place.parts[0].name) for place in self.places]
        one.close()
        with open_file(path) as file:
            self._known = None if any(map(_FRAME.fullmatch, self._names)) else self._looked(file, {})

    def opened(self, path: Path) -> Sample | None:
        """A file, if it is like that one, and can be read as it is.

        Raises:
            DataError: there is none, or it lies elsewhere, is unfinished, or no HDF5 file.
        """
        if self._known is None:
            return None
        file = open_file(path)
        try:
            sample = named(path, self._sample)(path, file)
        except (OSError, RuntimeError, KeyError, TypeError, ValueError):  # all of them h5py's
            sample = None
        except DataError:
            file.close()
            raise
        if sample is None:
            file.close()
        return sample

    def _sample(self, path: Path, file: Any) -> Sample | None:
        witness = Witness(path)
        datasets: dict[str, Any] = {}
        if self._looked(file, datasets) != self._known:
            return None
        parts: list[Stored] = []
        for name, axis in zip(self._names, self._axes, strict=True):
            load_filters(datasets[name])
            witness.add(check_dataset(path, datasets[name], follow=self._follow))
            parts.append(Stored(path, datasets[name], witness, axis=axis))
        return Sample(path, file, self, parts)

    def _looked(self, file: Any, datasets: dict[str, Any]) -> list[Any] | None:
        """What is compared of a file; None if there are links, which only a look at the whole file may follow.

        Arguments:
            datasets: gets the datasets, by their names.
        """
        found: dict[str, Any] = {}
        for name in self._names:
            words = name.strip("/").split("/")
            for length in range(len(words)):
                way = "/" + "/".join(words[:length])
                if way not in found:
                    found[way] = _things(h5py.Group(h5g.open(file.id, way.encode())))
                    if found[way] is None:
                        return None
            if name not in found:
                dataset = datasets[name] = h5py.Dataset(h5d.open(file.id, name.encode()))
                found[name] = [dataset.id.shape, dataset.id.get_type(), dataset.chunks, _attributes(dataset)]
        return list(found.items())


class Sample:
    """An open file of one sample, which is read as the file that it is like.

    Arguments:
        path: of it.
        file: it, as h5py opens it.
        pattern: what it has in common with others.
        parts: its own datasets for the pattern's places.
    """

    def __init__(self, path: Path, file: Any, pattern: Pattern, parts: list[Stored]) -> None:
        self.path, self._file, self._pattern, self._parts = path, file, pattern, parts

    def rows(self, split: str) -> Mapping[str, Rows]:
        """By field, what it is read from, until another such file is read."""
        self._take_places()
        return self._pattern.rows

    @property
    def group(self) -> Rows | None:
        """What a cut into splits goes by, until another such file is read."""
        self._take_places()
        return self._pattern.group

    def _take_places(self) -> None:
        for place, part in zip(self._pattern.places, self._parts, strict=True):
            place.parts = (part,)

    def unreadable(self, split: str, start: int, stop: int, error: Exception) -> DataError:
        """The error that says why it can't be read."""
        return unreadable(self.path, self._parts, f"samples {start}..{stop} of {split}", error)

    def close(self) -> None:
        """Close it."""
        for place, part in zip(self._pattern.places, self._parts, strict=True):
            if any(each is part for each in place.parts):
                place.parts = ()  # what holds a dataset holds its file
        self._parts.clear()
        h5i.dec_ref(self._file.id)  # h5py would look through all that is open anywhere, which takes long


def _places(rows: Any) -> list[Single]:
    """Where rows take a dataset's values from."""
    if isinstance(rows, Single):
        return [rows]
    return [place for part in rows.parts for place in _places(part)]


def _things(group: Any) -> list[Any] | None:
    """The names in a group and its attributes; None if one of them is a link to something."""
    kinds: dict[bytes, int] = {}
    group.id.links.iterate(lambda name, info: kinds.update({name: info.type}), info=True)
    return [*kinds, _attributes(group)] if {*kinds.values()} <= {h5l.TYPE_HARD} else None


def _attributes(thing: Any) -> list[Any]:
    """The attributes of a group or dataset, but for references to others, in a form that can be compared."""
    found = []
    for number in range(h5a.get_num_attrs(thing.id)):
        attribute = h5a.open(thing.id, index=number)
        if not _refers(attribute.get_type()):
            value = np.asarray(thing.attrs[attribute.name])
            content = value.tolist() if value.dtype.hasobject else value.tobytes()
            found.append((attribute.name, str(value.dtype), value.shape, content))
    return found


def _refers(kind: Any) -> bool:
    """Whether values of a type are, or hold, references."""
    if isinstance(kind, (h5t.TypeVlenID, h5t.TypeArrayID)):
        return _refers(kind.get_super())
    if isinstance(kind, h5t.TypeCompoundID):
        return any(_refers(kind.get_member_type(number)) for number in range(kind.get_nmembers()))
    return isinstance(kind, h5t.TypeReferenceID)
