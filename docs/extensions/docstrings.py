"""Converts the docstrings of distnn, plain text with formulas, to reStructuredText."""

from __future__ import annotations

import re

from sphinx.application import Sphinx


def escape(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Escape the bars of absolute values, which are markup otherwise; examples and text in backticks are left alone."""
    for place, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            pieces = re.split(r"(`+[^`]*`+)", line)
            pieces[::2] = [piece.replace("|", r"\|") for piece in pieces[::2]]
            lines[place] = "".join(pieces)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx, to run before napoleon, whose own markup must not be escaped."""
    app.connect("autodoc-process-docstring", escape, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
