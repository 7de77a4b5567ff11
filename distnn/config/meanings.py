"""What each key means: the comments ``#:`` beside the keys in this room, read from its source."""

from __future__ import annotations

import inspect
import re

from pydantic import BaseModel

#: A key of a class, with what follows its type and default on the same line.
_KEY = re.compile(r"    (\w+): .*?(?:  #: (.*))?")


def meanings(section: type[BaseModel]) -> dict[str, str]:
    """The comment of each key that the section's own class has, either above the key or behind it.

    >>> from distnn.config import LogSettings
    >>> meanings(LogSettings)["interval"]
    'seconds between two lines of a log file and of metrics.jsonl; 0: a line for each step'
    """
    found: dict[str, str] = {}
    above: list[str] = []
    for line in inspect.getsource(section).splitlines():
        if line.startswith("    #: "):
            above.append(line[7:].strip())
            continue
        match = _KEY.fullmatch(line)
        if match and match[1] in section.model_fields and (text := " ".join([*above, match[2] or ""]).strip()):
            found[match[1]] = text
        above = []
    return found


def about(section: type[BaseModel]) -> str:
    """The first paragraph of a section's docstring, without the section's name; the rest is said of the keys."""
    text = inspect.cleandoc(section.__doc__ or "").partition("\n\n")[0]
    text = re.sub(r"^``\[\w+\]``: ", "", text)
    return re.sub(r"\s+", " ", text[:1].upper() + text[1:].replace("``", "`"))
