"""The page of the run file: every section and key, with its values, default and meaning, from the program itself.

A key's meaning is the comment ``#:`` beside it: in `distnn.config`, or beside the argument of what is registered for a
kind. A key without a meaning stops the build.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from sphinx.errors import ExtensionError

from distnn.config.explain import wanted
from distnn.config.field import FieldSettings
from distnn.config.kinds import Choice, KindSettings, OneOf, about, meanings, section_of
from distnn.config.model import OTHERS
from distnn.config.sections import RunSettings
from distnn.config.split import SplitSettings
from distnn.config.text import show
from distnn.data.transforms import Transform
from distnn.layers import Layer
from distnn.metrics import Metric
from distnn.ops.activation import Activation
from distnn.registry import Family

HEAD = """\
# Run file

A run file is written in [TOML](https://toml.io). `[model]` and `[data]` are required, everything else has a default.
Any key can be overridden on the command line: `distnn train run.toml --set train.epochs=3`. An unknown key or an
impossible value is refused before any work begins. From Python, `distnn.fit` takes the same sections and keys.

Where a `kind`, or an activation, is asked for, `"module:Class"` names a class of your own, from a module in the working
directory or on Python's path. It is derived from `Layer`, `Activation`, `Loss`, `Metric`, `Optimizer`, `Schedule`
or `Transform`, and its keys are the arguments of its constructor; for a model, `factory = "module:function"` serves.
"""
#: Sections with lists of things of some kind: the keys, and what these are.
LISTS = {
    "metrics": ("`metrics.kinds`", Metric.family),
    "transforms": ("`transforms.x`, `transforms.y`", Transform.family),
}
TABLE = "\n| key | value | default | meaning |\n|---|---|---|---|\n"
NEEDED = "required"
#: A key's cells: what is valid, its default, and what it means.
Cells = tuple[str, str, str]


def page() -> str:
    """The whole page, in Markdown."""
    text = HEAD
    for name, field in RunSettings.model_fields.items():
        family = next((extra.family for extra in field.metadata if isinstance(extra, OneOf)), None)
        if family:
            text += f"\n## `[{name}]`\n\n{family.about}\n{TABLE}{''.join(family_rows(family))}"
        else:
            assert isinstance(field.annotation, type)
            text += f"\n## `[{name}]`\n\n{about(field.annotation)}\n{TABLE}{''.join(rows(field.annotation))}"
        if name in LISTS:
            keys, family = LISTS[name]
            text += f"\n### {keys}\n\n{family.about}\n{TABLE}{''.join(family_rows(family))}"
        if name == "data":
            text += f"\n### `data.x`\n\n{about(FieldSettings)}\n{TABLE}{''.join(rows(FieldSettings))}"
            text += f"\n### `[data.split]`\n\n{about(SplitSettings)}\n{TABLE}{''.join(rows(SplitSettings))}"
        if name == "model":
            text += other_rows() + "".join(layer_tables())
    return text


def other_rows() -> str:
    """The keys of a model that is of no kind; what it shares with those of a kind has been told."""
    keys = {way: cells(section)[way] for way, section in OTHERS.items()}
    return "".join(row(key, each) for key, each in keys.items())


def layer_tables() -> Iterator[str]:
    """The part of the page about each kind of layer, or several that take the same keys."""
    alike: dict[tuple[tuple[str, Cells], ...], list[str]] = {}
    for kind, made in Layer.family.kinds.items():
        found = cells(section_of(Choice(Layer.family, kind, made)))
        if kind == "activation":
            for name, op in Activation.family.kinds.items():
                found |= cells(section_of(Choice(Layer.family, kind, made, Choice(Activation.family, name, op))))
        alike.setdefault(tuple((key, each) for key, each in found.items() if key != "kind"), []).append(kind)
    for keys, kinds in alike.items():
        names = ", ".join(f"`{kind}`" for kind in kinds)
        classes = ", ".join(f"{{py:obj}}`distnn.layers.{Layer.family.kinds[kind].__name__}`" for kind in kinds)
        default = value("dense") if "dense" in kinds else NEEDED
        kind_row = row("kind", (" or ".join(show(kind) for kind in kinds), default, Layer.family.meaning))
        rest = "".join(row(key, each) for key, each in keys)
        yield f"\n### `[[model.layers]]`: {names}\n\nLetters as in {classes}.\n{TABLE}{kind_row}{rest}"


def family_rows(family: Family) -> Iterator[str]:
    """A line of the table for each key of a section of several kinds."""
    every = {kind: cells(section_of(Choice(family, kind, made))) for kind, made in family.kinds.items()}
    valid = next(iter(every.values()))["kind"][0]
    yield row("kind", (valid, value(family.default or None), family.meaning))
    for key in dict.fromkeys(key for keys in every.values() for key in keys if key != "kind"):
        taking = {kind: keys[key] for kind, keys in every.items() if key in keys}
        owners = f"*{', '.join(taking)}*: " if len(taking) < len(every) else ""
        valid = next(iter(taking.values()))[0]
        yield row(key, (valid, merged(taking, 1), owners + merged(taking, 2)))


def merged(taking: Mapping[str, Cells], part: int) -> str:
    """One cell for all kinds; with the kinds behind each, where they differ."""
    found: dict[str, list[str]] = {}
    for kind, each in taking.items():
        found.setdefault(each[part], []).append(kind)
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{text} ({', '.join(kinds)})" for text, kinds in found.items())


def rows(section: type[BaseModel]) -> Iterator[str]:
    """A line of the table for each key."""
    for key, each in cells(section).items():
        yield row(key, each)


def row(key: str, each: Cells) -> str:
    """A line of a table."""
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in (f"`{key}`", *each)) + " |\n"


def cells(section: type[BaseModel]) -> dict[str, Cells]:
    """What is said of each key."""
    hints = typing.get_type_hints(section, include_extras=True)
    found = meanings(section)
    for key in section.model_fields:
        if key not in found:
            place = section.chosen.made if issubclass(section, KindSettings) else section
            raise ExtensionError(
                f"{place.__module__}.{place.__qualname__}.{key} has no meaning for the page of the run file; "
                f"write one beside it, in a comment that begins with #:"
            )
    return {key: (wanted(hints[key]), default(section, key), found[key]) for key in section.model_fields}


def default(section: type[BaseModel], key: str) -> str:
    """The default of a key."""
    field = section.model_fields[key]
    return NEEDED if field.is_required() else value(field.default)


def value(given: Any) -> str:
    """A default as a run file has it."""
    return "–" if given is None else f"`{show(list(given) if isinstance(given, tuple) else given)}`"
