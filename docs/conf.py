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
extensions += [
    "formulas",
    "examples",
    "figures",
    "widgets",
    "scripts",
    "notebooks",
    "generated",
    "docstrings",
    "gallery",
]  # in extensions/
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
# The figures' palette, which docs/examples/lecture.py writes: a dark page needs lighter colours.
LIGHT = {
    "blue": "#0d58b5",
    "red": "#bd1e11",
    "green": "#1ca787",
    "orange": "#cf7703",
    "purple": "#7a3b69",
    "grey": "#6d798a",
}
DARK = {
    "blue": "#427edb",
    "red": "#dd5340",
    "green": "#6dbd95",
    "orange": "#f4940b",
    "purple": "#ce9bf2",
    "grey": "#858d97",
}
html_theme_options = {
    "light_css_variables": {f"figure-{name}": value for name, value in LIGHT.items()},
    "dark_css_variables": {f"figure-{name}": value for name, value in DARK.items()},
}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
