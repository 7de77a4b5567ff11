"""A run file to start from: what was chosen, every other setting at its default, and what each of them means."""

from __future__ import annotations

import textwrap
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from distnn.config import from_dict
from distnn.config.explain import choices
from distnn.config.kinds import about, meanings
from distnn.config.section import Section
from distnn.config.text import either, show

#: The widest line.
WIDTH = 120
#: Where comments begin, unless a setting is longer.
COLUMN = 28
#: Stands for the value of a setting that has no default.
UNSET = "..."


def draft(chosen: Mapping[str, Mapping[str, Any]], head: Sequence[str], where: str) -> str:
    """The text of a run file with the settings in ``chosen``, and all of its model's.

    The others stand there as comments, at their defaults, if they have one; those that have no meaning beside the
    chosen are left out.

    Arguments:
        chosen: keys and values by section.
        head: lines for the file's top, without #.
        where: what names the settings in an error.

    Raises:
        RunFileError: if they are wrong.
    """
    settings = from_dict(chosen, where)
    lines = [f"# {line}".rstrip() for line in head]
    for name in type(settings).model_fields:
        section = getattr(settings, name)
        unused = section.unused()
        lines += ["", *textwrap.wrap(about(type(section)), WIDTH - 2, initial_indent="# ", subsequent_indent="# ")]
        lines.append(f"[{name}]")
        for key in type(section).model_fields:
            value = getattr(section, key)
            if key in unused or (name == "model" and value is None):
                continue
            given = name == "model" or key in chosen.get(name, {})
            setting = f"{'' if given else '# '}{key} = {UNSET if value is None else show(_plain(value))}"
            lines += _setting(setting, _meaning(type(section), key))
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> Any:
    """A table, or only its path or kind if nothing else was given."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if not isinstance(value, Section):
        return value
    table = value.table(list)
    given = {key: each for key, each in table.items() if key in value.model_fields_set}
    return next(iter(given.values())) if set(given) in ({"path"}, {"kind"}) else table


def _meaning(section: type[Section], key: str) -> str:
    """What a key means, and the words that it takes if it takes no others."""
    hint = typing.get_type_hints(section, include_extras=True)[key]
    words = list(choices(hint))
    return meanings(section)[key] + (f" ({either(words)})" if len(words) > 1 else "")


def _setting(setting: str, meaning: str) -> list[str]:
    """A setting with its meaning beside it, on as many lines as that takes."""
    column = max(COLUMN, len(setting) + 2)
    first, *more = textwrap.wrap(meaning, max(WIDTH - column - 2, 20), break_on_hyphens=False)
    return [f"{setting:<{column}}# {first}", *(f"{'':<{column}}# {line}" for line in more)]
