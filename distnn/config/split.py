"""``[data.split]``: how one set of samples is cut into train, validation and test."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from distnn.config.section import Section, Seed, Text
from distnn.config.text import Keys
from distnn.data.cutting import CUT_OFF, Cut
from distnn.registry import Count

Patterns = Annotated[
    tuple[Text, ...], Field(strict=False, min_length=1), 'a list of patterns of files\' names, such as ["b*.h5"]'
]
Share = Annotated[float, Field(gt=0, lt=1), "a fraction between 0 and 1"]


class SplitSettings(Section):
    """``[data.split]``: validation and test are cut from the training samples, or from all if there are no splits.

    The samples of each are chosen at random from the seed alone: they are the same on any number of ranks, and in
    ``evaluate`` and ``predict``. They keep their order in the file.
    """

    #: for training, where the others are lists: patterns of the names of files; all other files if not given
    train: Patterns | None = None
    #: for validation: a fraction of the samples, such as 0.1, or how many, such as 500; or patterns of files' names
    validation: Count | Share | Patterns | None = None
    test: Count | Share | Patterns | None = None  #: for the test, likewise
    seed: Seed = 0  #: of the random choice
    stratify: bool = False  #: of each class in proportion, to within one sample
    #: a dataset of the data file with a group (an integer or a text) for each sample: no group will be in two splits
    group: Text | None = None

    @property
    def by_file(self) -> bool:
        """Whether files are listed."""
        return any(isinstance(each, tuple) for each in (self.train, self.validation, self.test))

    def unused(self) -> dict[str, str]:
        """Nothing is random where files are listed."""
        if not self.by_file:
            return {}
        return dict.fromkeys(("seed", "stratify", "group"), "has no meaning where files are listed; remove it")

    def clashes(self) -> list[tuple[Keys, str]]:
        """Files stand for all of the splits or for none; groups can't be cut for the sake of classes."""
        found: list[tuple[Keys, str]] = []
        given = {name: getattr(self, name) for name in CUT_OFF if getattr(self, name) is not None}
        if not given:
            found.append(((), "cuts nothing off; give validation, test or both, such as validation = 0.1"))
        if self.by_file:
            why = "is a number, but others are lists of files; give lists for all"
            found += [((name,), why) for name, each in given.items() if not isinstance(each, tuple)]
        elif self.stratify and self.group:
            found.append((("stratify",), "can't be met with whole groups (data.split.group); leave out one of the two"))
        return found

    def cut(self) -> Cut:
        """What the section describes."""
        if self.by_file:
            lists = {"train": self.train, "validation": self.validation, "test": self.test}
            return Cut(files={name: each for name, each in lists.items() if isinstance(each, tuple)})
        validation, test = (each if isinstance(each, int | float) else 0 for each in (self.validation, self.test))
        return Cut(validation, test, self.seed, self.stratify, self.group or "")
