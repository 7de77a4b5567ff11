"""Where the fields of a data file lie, as a user says it: `Location` and `Description`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
class Description:
    """What a user says of a data file.

    Arguments:
        given: fields that lie elsewhere than in `USUAL`.
        task, classes: what the file's attributes say otherwise; classes are names, or how many there are; None: not
            said.
        ignore: a label that may be there beside those of the classes, of what isn't to count.
        transforms: what is done to the values of fields once they are read.
        one_sample_files: each file is one sample: its datasets are a row each.
        cut: how the samples for training are cut into splits; None: they aren't.
    """

    given: Mapping[str, Location] = field(default_factory=dict)
    task: str | None = None
    classes: tuple[str, ...] | int | None = None
    ignore: int | None = None
    transforms: Wished = field(default_factory=dict)
    one_sample_files: bool = False
    cut: Cut | None = None

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
