"""Where the fields of a data file lie, as a user says it: `Location` and `Description`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from distnn.data.cutting import Cut
from distnn.data.transforms.chains import Wished

#: Stands in a path for what a split is called in the file.
SPLIT = "{split}"
#: What each split may be called in a file; the first name of each is its own.
NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "validate", "dev"),
    "test": ("test", "testing"),
}


@dataclass(frozen=True)
class Location:
    """Where one field lies.

    Arguments:
        path: datasets of the file, with `SPLIT` in their paths; joined along the last axis if they are several.
        columns: which columns of a table, or of named places along the last axis; all if empty.
        channels: which places along the last axis, from 0; all if empty.
        layout: how the axes stand in the file, of `distnn.data.file.views.LAYOUTS`; ``channels_last`` says that they
            stand as they are wanted, (N, …, channels), and ``one_hot`` that rows (N, classes) are labels; None: they
            stand as they are wanted, but look as if they might not.
    """

    path: tuple[str, ...]
    columns: tuple[str, ...] = ()
    channels: tuple[int, ...] = ()
    layout: str | None = None

    def of(self, name: str) -> tuple[str, ...]:
        """The paths in the split that is called so in the file."""
        return tuple(path.replace(SPLIT, name) for path in self.path)


#: Where fields lie if nothing else is said.
USUAL: Mapping[str, Location] = MappingProxyType({name: Location((f"{SPLIT}/{name}",)) for name in "xy"})


@dataclass(frozen=True)
class Purpose:
    """What a trained network is to do with a data file: only what that uses must be there, as it was in training.

    Arguments:
        split: which is used; any group may be one.
        answers: whether what is to be predicted (y, and its weights and mask) must be there and is read with x.
        task, classes: the network's; the file's where it says nothing of them.
        target_shape: of one target as it was stored in training.
        scale: by which samples were multiplied in training.
        names: what the places along the last axis of fields were called in training, where that is known.
        place: of the file, where it was made of the one that messages name, for as long as it is used.
    """

    split: str
    answers: bool
    task: str
    classes: tuple[str, ...]
    target_shape: tuple[int, ...]
    scale: float | None = None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    place: Path | None = None


def canonical(split: str) -> str:
    """The own name of a split that may be called otherwise in a file.

    >>> canonical("val"), canonical("holdout")
    ('validation', 'holdout')
    """
    return next((own for own, names in NAMES.items() if split in names), split)


@dataclass(frozen=True)
class Description:
    """What a user says of a data file.

    Arguments:
        given: fields that lie elsewhere than in `USUAL`.
        task, classes: what the file's attributes say otherwise; classes are names, or how many there are; None: not
            said.
        missing_targets: targets that are NaN are missing: a mask leaves them out.
        ignore: a label that may be there beside those of the classes, of what isn't to count.
        transforms: what is done to the values of fields once they are read.
        one_sample_files: each file is one sample: its datasets are a row each.
        cut: how the samples for training are cut into splits; None: they aren't.
        purpose: what a trained network is to do with the file; None: training.
    """

    given: Mapping[str, Location] = field(default_factory=dict)
    task: str | None = None
    classes: tuple[str, ...] | int | None = None
    missing_targets: bool = False
    ignore: int | None = None
    transforms: Wished = field(default_factory=dict)
    one_sample_files: bool = False
    cut: Cut | None = None
    purpose: Purpose | None = None

    @property
    def fields(self) -> Mapping[str, Location]:
        """All of the fields."""
        return {**USUAL, **self.given}

    def datasets(self) -> list[str]:
        """The paths of the datasets that fields of training samples, and their groups, are read from."""
        group = [self.cut.group] if self.cut and self.cut.group else []
        return [*(path for location in self.fields.values() for path in location.of("train")), *group]

    def names(self) -> tuple[str, ...]:
        """The names of the classes, as far as they are said."""
        if isinstance(self.classes, int):
            return tuple(map(str, range(self.classes)))
        return self.classes or ()


#: Nothing that differs from the usual.
AS_USUAL = Description()
