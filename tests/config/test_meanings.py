"""The comments beside the settings, read from the source."""

from __future__ import annotations

import typing

import pytest
from pydantic import BaseModel

from distnn.config import RunSettings
from distnn.config.draft import _setting
from distnn.config.kinds import Choice, KindSettings, about, meanings, section_of
from distnn.config.section import Section
from distnn.config.site import SiteSettings
from distnn.layers import Layer
from distnn.losses import Loss
from distnn.models.kinds import MODELS
from distnn.optim import Optimizer, Schedule
from distnn.registry import Count, Family


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


@pytest.mark.parametrize("family", [MODELS, *(base.family for base in (Layer, Loss, Optimizer, Schedule))])
def test_every_key_of_a_kind_has_one(family: Family) -> None:
    for kind, made in family.kinds.items():
        section = section_of(Choice(family, kind, made))
        assert meanings(section).keys() >= section.model_fields.keys(), kind


def test_above_and_behind() -> None:
    assert meanings(Mixed) == {"behind": "behind it | all", "over": "over two lines"}
    assert about(Mixed) == "Comments above and behind, `and` none."


@pytest.mark.parametrize("root", [RunSettings, SiteSettings])
def test_every_setting_of_a_file_has_one(root: type[BaseModel]) -> None:
    sections = [hint for hints in typing.get_type_hints(root).values() for hint in (hints, *typing.get_args(hints))]
    sections = [hint for hint in sections if isinstance(hint, type) and issubclass(hint, BaseModel)]
    sections = [section for section in sections if section not in (KindSettings, Section)]
    assert len(sections) >= 3
    for section in sections:
        assert meanings(section).keys() == section.model_fields.keys(), section


def test_a_setting_longer_than_a_line() -> None:
    first, *more = _setting("x = " + "n" * 8000, "where the samples lie in the file")
    assert first.startswith("x = nnn") and first.endswith("# where the samples") and more
