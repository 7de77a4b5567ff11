"""Using a trained network on a file: finding what it needs, and matching that by name with what it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from distnn.arrays import Array
from distnn.data.file.checks import listing
from distnn.data.file.fields import SPLIT, USUAL, Description, Location, Purpose
from distnn.data.file.locating import Datasets
from distnn.data.file.rows import Rows, names_of
from distnn.data.file.views import Changed, picked, reshaped
from distnn.errors import DataError, nearest


class NoSplitError(DataError):
    """The split that is used isn't in a file."""


def located(
    path: Path, file: Any, datasets: Datasets, description: Description, purpose: Purpose
) -> tuple[Description, str]:
    """Where the fields lie, and what the split that is used is called in the file; empty where there is but one.

    Samples that are in no split are all that there are: a dataset ``x`` at the top, or the only dataset of the file.

    Raises:
        DataError: there is no such split.
    """
    fields = description.fields
    if any(SPLIT in place for place in fields["x"].path):
        splits = datasets.splits(fields, purpose.split)
        if purpose.split in splits:
            return description, splits[purpose.split]
        names = list(datasets.all())
        whole = "x" if "x" in names else names[0] if len(names) == 1 and "/" not in names[0] else ""
        if fields["x"] != USUAL["x"] or not whole:
            groups = [name for name in file if isinstance(file.get(name), h5py.Group)]
            raise NoSplitError(
                f"{path} has no split `{purpose.split}`{nearest(purpose.split, groups)}; it holds {listing(groups)}. "
                "Name one of them with --split, or a dataset with --x."
            )
        fields = {**fields, "x": Location((whole,))}
        datasets.notes.append(f"all of {whole} is taken for {purpose.split}")
    given = {name: place for name, place in fields.items() if not any(SPLIT in each for each in place.path)}
    return replace(description, given={"y": Location(("y",)), **given}), ""


def match_names(where: str, field: str, rows: Any, known: Sequence[str], notes: list[str]) -> Rows:
    """Rows whose places along the last axis are those ``known`` from training; as they are where one has no names.

    Raises:
        DataError: some of them aren't there.
    """
    there, same = names_of(rows), rows
    if not known or not there or there == tuple(known):
        return same  # type: ignore[no-any-return]
    missing = [name for name in known if name not in there]
    if missing or len(set(there)) < len(there) or len(rows.shape) < 2:
        raise DataError(
            f"{where}/{field} has the columns {listing(there)}, but the network was trained with {listing(known)}"
            f"{f': there is no {listing(missing)}' if missing else ''}. Give it data with columns of these names."
        )
    extra = [name for name in there if name not in known]
    notes.append(
        f"the columns of {field} are matched by name with those of training"
        + (f"; not used: {listing(extra)}" if extra else "")
    )
    return picked(rows, [there.index(name) for name in known])


def match_targets(where: str, fields: Mapping[str, Rows], known: Sequence[str], notes: list[str]) -> dict[str, Rows]:
    """y, and what weights and mask each of its columns has, as `match_names` has y."""
    y = fields["y"]
    found = {"y": match_names(where, "y", y, known, notes)}
    for name in ("weight", "mask"):
        if found["y"] is not y and name in fields and fields[name].shape == y.shape:
            found[name] = picked(fields[name], [names_of(y).index(column) for column in known])
    return found


def match_classes(where: str, y: Any, there: Sequence[str], known: Sequence[str], notes: list[str]) -> Rows:
    """Labels as places among the classes ``known`` from training, and not among those that are ``there``.

    Raises:
        DataError: the network doesn't know some of them.
    """
    if there == known:
        return y  # type: ignore[no-any-return]
    if unknown := [name for name in there if name not in known]:
        raise DataError(
            f"{where}/y has classes that the network wasn't trained on: {listing(unknown)}; it knows {listing(known)}. "
            "Leave these samples out, or give the classes their names of training."
        )
    notes.append("the classes are matched by name with those of training")
    places = np.array([known.index(name) for name in there])

    def change(rows: Array, target: Array, start: int) -> None:
        outside = (rows < 0) | (rows >= len(places))
        if (
            bad := outside & (rows >= 0) & (rows < len(known))
        ).any():  # others are refused later, unless a mask has them
            at = np.unravel_index(int(np.argmax(bad)), rows.shape)
            raise DataError(
                f"{where}/y[{', '.join(map(str, (at[0] + start, *at[1:])))}] is the label {rows[at]}, but there are "
                f"{len(places)} classes: expected 0..{len(places) - 1}. Correct the label, or the list of names in the "
                "attribute `classes`."
            )
        target[...] = np.where(outside, rows, places[np.where(outside, 0, rows)])

    return Changed(y, change, dtype=places.dtype)


def match_shape(where: str, y: Any, shape: tuple[int, ...]) -> Rows:
    """Targets of the shape of training; one number each is (N,) or (N, 1).

    Raises:
        DataError: they are more or fewer numbers.
    """
    if int(np.prod(y.shape[1:])) != int(np.prod(shape)):
        raise DataError(
            f"{where}/y has the shape {y.shape}, but the network was trained on targets of the shape {('N', *shape)}; "
            "give it the kind of data that it was trained on."
        )
    return y if y.shape[1:] == shape else reshaped(y, (y.shape[0], *shape), names_of(y))


def match_scale(scale: float | None, dtype: np.dtype[Any], purpose: Purpose, notes: list[str]) -> float | None:
    """The factor for samples: the file's own, else for integers that of training."""
    if scale is not None or purpose.scale is None:
        return scale
    if dtype.kind in "iu":
        notes.append(f"x is multiplied by {purpose.scale:.6g}, as in training")
        return purpose.scale
    notes.append(
        f"x holds {dtype}, which is used as it is; in training integers were multiplied by {purpose.scale:.6g}"
    )
    return None
