"""The comments beside the settings, read from the source."""

from __future__ import annotations

import typing

import pytest
from pydantic import BaseModel

from distnn.config import RunSettings
from distnn.config.meanings import about, meanings
from distnn.config.section import Count, Section
from distnn.config.site import SiteSettings


class Mixed(Section):
    """``[mixed]``: comments above and
    behind, ``and`` none.

    More.
    """

    above: Count = 1
    #: behind
    behind: Count = 2  #: it | all
    #: over
    #: two lines
    over: Count = 3
    # no meaning
    none: Count = 4

    @property
    def other(self) -> int:
        #: nor this
        none: int = 4  #: this isn't
        return none


def test_above_and_behind() -> None:
    assert meanings(Mixed) == {"behind": "behind it | all", "over": "over two lines"}
    assert about(Mixed) == "Comments above and behind, `and` none."


@pytest.mark.parametrize("root", [RunSettings, SiteSettings])
def test_every_setting_of_a_file_has_one(root: type[BaseModel]) -> None:
    sections = [hint for hints in typing.get_type_hints(root).values() for hint in (hints, *typing.get_args(hints))]
    sections = [hint for hint in sections if isinstance(hint, type) and issubclass(hint, BaseModel)]
    assert len(sections) >= 3
    for section in sections:
        assert meanings(section).keys() == section.model_fields.keys(), section
