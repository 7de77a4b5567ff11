"""What each section and key means: the comments ``#:`` beside it, read from the source."""

from __future__ import annotations

import inspect
import re

from pydantic import BaseModel

from distnn import registry
from distnn.config.kinds import KindSettings


def meanings(section: type[BaseModel]) -> dict[str, str]:
    """The comment of each key that the section's own class has, or that the constructor of its kind has.

    >>> from distnn.config import LogSettings
    >>> meanings(LogSettings)["interval"]
    'seconds between two lines of a log file and of metrics.jsonl; 0: a line for each step'
    """
    if not issubclass(section, KindSettings):
        return registry.comments(inspect.getsource(section).splitlines(), section.model_fields)
    chosen = section.chosen
    options = registry.meanings(chosen.options) if chosen.options else {}
    return {"kind": chosen.family.meaning} | registry.meanings(chosen.made) | options


def about(section: type[BaseModel]) -> str:
    """The first paragraph of a section's docstring, without the section's name; the rest is said of the keys."""
    if issubclass(section, KindSettings):
        return section.chosen.family.about
    text = inspect.cleandoc(section.__doc__ or "").partition("\n\n")[0]
    text = re.sub(r"^``\[\w+\]``: ", "", text)
    return re.sub(r"\s+", " ", text[:1].upper() + text[1:].replace("``", "`"))
