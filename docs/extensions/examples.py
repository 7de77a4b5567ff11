"""Runs the examples before the pages are built, which show their figures and output."""

from __future__ import annotations

import run_all
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


def run_examples(app: Sphinx) -> None:
    """Run the examples whose output is missing or out of date; the tests or the last build may have run them."""
    try:
        run_all.run_stale()
    except run_all.ExampleError as error:
        raise ExtensionError(str(error)) from error


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", run_examples)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
