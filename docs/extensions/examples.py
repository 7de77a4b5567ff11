"""The examples are run before the pages are built: their figures, and what they print, come from that run."""

from __future__ import annotations

import run_all
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


def run_examples(app: Sphinx) -> None:
    """Run those whose output isn't there already, from the tests or from the build before."""
    try:
        run_all.run_stale()
    except run_all.ExampleError as error:
        raise ExtensionError(str(error)) from error


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.connect("builder-inited", run_examples)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
