"""Sphinx's settings for these pages: sphinx-build -W --keep-going docs docs/_build (after pip install '.[docs]').

Nothing is downloaded when the pages are built or read: formulas are MathML, and the theme includes its fonts.
"""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [
    str(DOCS.parent),
    str(DOCS / "extensions"),
    str(DOCS / "examples"),
]  # this checkout's distnn, and not an installed one

import distnn  # noqa: E402  (from this checkout)

project = "distnn"
author = "The distnn developers"
release = version = distnn.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser"]
extensions += ["formulas", "examples", "generated", "docstrings", "widgets"]  # in extensions/
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 2  # so that links such as #matlab find the heading
exclude_patterns = ["_build", "figures", "examples", "static"]
default_role = "py:obj"  # a name in backticks is a link to its description
smartquotes = False  # values are shown as they are typed

html_theme = "furo"
html_title = "distnn"
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_copyright = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
