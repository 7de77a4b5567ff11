"""Converts the docstrings of distnn, plain text with formulas, to reStructuredText."""

from __future__ import annotations

import re

from sphinx.application import Sphinx

from distnn.errors import UsageError
from distnn.registry import meanings


def escape(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Escape the bars of absolute values, which are markup otherwise; examples and text in backticks are left alone."""
    for place, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            pieces = re.split(r"(`+[^`]*`+)", line)
            pieces[::2] = [piece.replace("|", r"\|") for piece in pieces[::2]]
            lines[place] = "".join(pieces)


def arguments(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Add what the comments ``#:`` beside a constructor's arguments say, before the errors that it raises."""
    if what not in ("class", "function") or not callable(thing) or any(line == "Arguments:" for line in lines):
        return
    try:
        found = meanings(thing)
    except (UsageError, TypeError, ValueError, NameError):
        return
    if found:
        place = lines.index("Raises:") if "Raises:" in lines else len(lines)
        lines[place:place] = ["", "Arguments:", *(f"    {key}: {words}." for key, words in found.items()), ""]


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx; before napoleon, whose own markup must stay."""
    app.connect("autodoc-process-docstring", arguments, priority=300)
    app.connect("autodoc-process-docstring", escape, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
