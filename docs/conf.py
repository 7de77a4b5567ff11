"""How Sphinx builds these pages: python -m sphinx -W --keep-going docs docs/_build (pip install '.[docs]').

Nothing is fetched when the pages are built or read: formulas are MathML, and the theme brings its own fonts.
"""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "extensions")]  # this checkout, and no other installed distnn

import distnn  # noqa: E402  (from this checkout)

project = "distnn"
author = "The distnn developers"
release = version = distnn.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser", "formulas", "examples", "docstrings"]
myst_enable_extensions = ["dollarmath"]
exclude_patterns = ["_build", "figures", "examples"]
default_role = "py:obj"  # a name in backticks leads to its description

html_theme = "furo"
html_title = "distnn"
html_copy_source = False
html_static_path: list[str] = []

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
