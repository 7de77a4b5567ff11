"""Generates the page of the run file from `distnn.config`: every section and key, with values, default and meaning.

The meaning of a key is the comment ``#:`` beside it there; for a key of a layer, it is what the layer's class says of
that argument. A key without a meaning stops the build.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from sphinx.errors import ExtensionError

from distnn.config.explain import choices, wanted
from distnn.config.meanings import about
from distnn.config.meanings import meanings as own_meanings
from distnn.config.sections import RunSettings
from distnn.config.text import show
from distnn.models.layers import KINDS

HEAD = """\
# Run file

A run file is written in [TOML](https://toml.io). `[model]` and `[data]` are required, everything else has a default.
Any key can be overridden on the command line: `distnn train run.toml --set train.epochs=3`. An unknown key or an
impossible value is refused before any work begins. From Python, `distnn.fit` takes the same sections and keys.
"""
TABLE = "\n| key | value | default | meaning |\n|---|---|---|---|\n"
NEEDED = "required"


def page() -> str:
    """The whole page, in Markdown."""
    text = HEAD
    for name, section in sections_of(RunSettings):
        text += f"\n## `[{name}]`\n\n{about(section)}\n{TABLE}{''.join(rows(section))}"
        for key, field in section.model_fields.items():
            for table in sections_in(field.annotation):
                text += layer_table(f"{name}.{key}", table)
    return text


def sections_of(section: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """The keys that hold a section, with that section."""
    for key, field in section.model_fields.items():
        for inner in sections_in(field.annotation):
            yield key, inner


def layer_table(path: str, table: type[BaseModel]) -> str:
    """The part of the page about one kind of layer, or about several with the same keys."""
    kinds = kinds_of(table)
    meanings = {"kind": "the layer"}
    for kind in kinds:
        meanings |= arguments(KINDS[kind])
    names = ", ".join(f"`{kind}`" for kind in kinds)
    about = ", ".join(f"{{py:obj}}`distnn.layers.{KINDS[kind].__name__}`" for kind in kinds)
    return f"\n### `[[{path}]]`: {names}\n\nLetters as in {about}.\n{TABLE}{''.join(rows(table, meanings))}"


def arguments(layer: type) -> dict[str, str]:
    """The documentation of each argument, from the docstrings of a layer's class and its base classes."""
    meanings: dict[str, str] = {}
    for owner in reversed(layer.__mro__):
        text = inspect.cleandoc(owner.__doc__ or "").partition("Arguments:\n")[2].partition("\n\n")[0]
        for names, words in re.findall(r"^    (\w[\w, ]*): (.*(?:\n     .*)*)", text, flags=re.MULTILINE):
            meanings |= dict.fromkeys(names.split(", "), re.sub(r"\s+", " ", words).replace("``", "`").rstrip("."))
    return meanings


def sections_in(hint: Any) -> list[type[BaseModel]]:
    """The sections that a type is, or contains."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return [hint]
    return [section for inner in typing.get_args(hint) for section in sections_in(inner)]


def rows(section: type[BaseModel], meanings: dict[str, str] | None = None) -> Iterator[str]:
    """A line of the table for each key."""
    hints = typing.get_type_hints(section, include_extras=True)
    meanings = (meanings or {}) | own_meanings(section)
    for key in section.model_fields:
        if key not in meanings:
            raise ExtensionError(
                f"{section.__module__}.{section.__qualname__}.{key} has no meaning for the page of the run file; "
                f"write one beside it, in a comment that begins with #:"
            )
        owners, default = kinds_and_default(section, key)
        cells = [f"`{key}`", wanted(hints[key]), default, owners + meanings[key]]
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"


def kinds_and_default(section: type[BaseModel], key: str) -> tuple[str, str]:
    """The kinds that a key belongs to, if not all of them, and its default, for each kind if they differ."""
    field = section.model_fields[key]
    if field.is_required():
        return "", NEEDED
    kinds = kinds_of(section)
    variants = {kind: of_kind(section, kind) for kind in kinds} if len(kinds) > 1 else {}
    taking = {kind: made for kind, made in variants.items() if key not in made.unused()}
    if key == "kind" or not taking:
        return "", value(field.default)
    owners = f"*{', '.join(taking)}*: " if len(taking) < len(variants) else ""
    defaults: dict[str, list[str]] = {}
    for kind, made in taking.items():
        defaults.setdefault(value(getattr(made, key)), []).append(kind)
    if len(defaults) == 1:
        return owners, next(iter(defaults))
    return owners, "; ".join(f"{default} ({', '.join(kinds)})" for default, kinds in defaults.items())


def kinds_of(section: type[BaseModel]) -> tuple[str, ...]:
    """The values of a section's key ``kind``."""
    field = section.model_fields.get("kind")
    return tuple(choices(field.annotation)) if field is not None else ()


def of_kind(section: type[BaseModel], kind: str) -> Any:
    """The section of a kind with its defaults, even if the kind requires further keys."""
    try:
        return section(kind=kind)
    except ValidationError:
        return section.model_construct(kind=kind)


def value(default: Any) -> str:
    """A default as it is written in a run file."""
    return "–" if default is None else f"`{show(list(default) if isinstance(default, tuple) else default)}`"
