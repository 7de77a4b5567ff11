"""``data.x`` and its like: where a field lies in the data file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from distnn.config.section import Section, Text
from distnn.config.text import Keys
from distnn.data.file.fields import SPLIT, Location
from distnn.registry import Count, CountOrZero

Texts = Annotated[tuple[Text, ...], Field(strict=False, min_length=1), 'a list of texts, such as ["a", "b"]']
Places = Annotated[
    tuple[CountOrZero, ...], Field(strict=False, min_length=1), "a list of numbers from 0, such as [0, 1, 2]"
]


class FieldSettings(Section):
    """``data.x``, ``y``, ``weight`` and ``mask``: where a field lies in the data file; a path alone may stand for it.

    In a path, ``{split}`` stands for what the split is called in the file, such as train or val.
    """

    #: a dataset, or a list of several, joined along their last axis; {split} and the field's name if not given
    path: Annotated[Text | Texts | None, "a path in the file, or a list of them"] = None
    columns: Texts | None = None  #: columns of a table by name, in this order; or places along the last axis by name
    channels: Places | None = None  #: places along the last axis by number, in this order
    #: how dimensions stand in the file: channels_first: (N, C, H, W) or (N, C, D, H, W); reversed: all the other way
    #: round, as MATLAB, Fortran, Julia and R write them; reversed_samples: all but the first; samples_last: the first
    #: stands last; channels_last: as they are, (N, …, C); one_hot: labels as rows of 0 and a single 1
    layout: (
        Literal["channels_first", "channels_last", "reversed", "reversed_samples", "samples_last", "one_hot"] | None
    ) = None

    def clashes(self) -> list[tuple[Keys, str]]:
        """Columns are places too."""
        if self.columns and self.channels:
            return [(("channels",), "stands beside columns, but each picks places; keep one of them")]
        return []

    def location(self, name: str) -> Location:
        """What it describes, for the field of this name."""
        given = self.path or f"{SPLIT}/{name}"
        paths = (given,) if isinstance(given, str) else given
        return Location(paths, self.columns or (), self.channels or (), self.layout)


def _table(given: Any) -> Any:
    """A path alone stands for a table with it."""
    return {"path": given} if isinstance(given, str) else given


FieldPlace = Annotated[
    FieldSettings,
    BeforeValidator(_table),
    'a path in the file, such as "{split}/x", or a table such as {path = "table", columns = ["a", "b"]}',
]
Classes = Annotated[
    Count | Annotated[tuple[Text, ...], Field(strict=False, min_length=1)],
    'a list of names, such as ["cat", "dog"], or how many there are',
]
