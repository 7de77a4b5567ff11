"""Site files: what a supercomputer's nodes are and can do; some are built in."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from distnn.config.explain import explained
from distnn.config.rates import RatesSettings
from distnn.config.section import Count, Section, Text
from distnn.config.text import line_of, load
from distnn.errors import UsageError, nearest

BUILT_IN = Path(__file__).parent / "sites"


class NodeSettings(Section):
    """``[node]``: a node's cores, and how a training usually shares them out."""

    cores: Count  #: of a node
    ranks: Count  #: the usual number on a node
    threads: Count  #: cores of each rank


class SiteSettings(Section):
    """A whole site file."""

    about: Text
    node: NodeSettings
    rates: RatesSettings | None = None


def read(name: str) -> SiteSettings:
    """The site of a built-in name, of a name among the user's own (``~/.config/distnn/sites``), or of a file.

    Built-in names come first, so that a name means the same everywhere; a file is given with its ``.toml``.

    Raises:
        UsageError: if there is none, or naming every mistake in it.
    """
    path = _path(name)
    table, text = load(path)
    try:
        return SiteSettings.model_validate(table)
    except ValidationError as error:
        found = {keys: words for item in error.errors() for keys, words in explained(SiteSettings, item)}
        lines = [f"{path}, line {line_of(text, keys)}: {words}." for keys, words in found.items()]
        raise UsageError("\n  ".join(lines)) from None


def _path(name: str) -> Path:
    if name.endswith(".toml"):
        return Path(name)
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "distnn" / "sites"
    for folder in (BUILT_IN, own):
        if (folder / f"{name}.toml").is_file():
            return folder / f"{name}.toml"
    names = sorted(path.stem for folder in (BUILT_IN, own) for path in folder.glob("*.toml"))
    raise UsageError(
        f"there is no site '{name}'{nearest(name, names)}; there are {', '.join(names)}. A site of your own is a file "
        f"such as {own}/{name}.toml, or any other by its path."
    )
