"""A mistake that pydantic found, in the words of this project: the key, what was found, what is valid, the nearest."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel

from distnn.config.section import Section
from distnn.config.text import Keys, dotted, either, show
from distnn.errors import nearest

#: What a section that may not be missing must at least hold.
LEAST = {
    "model": 'kind = "mlp"',
    "data": 'path = "data/digits.h5"',
    "node": "cores, ranks and threads, such as 128, 32 and 4",
}


def explained(root: type[Section], error: Mapping[str, Any]) -> Iterator[tuple[Keys, str]]:
    """The (keys, words) of one item of pydantic's ``errors()`` on the model ``root``.

    A union yields an item per member, which all come to the same keys and words; the caller keeps one.
    """
    keys, hint, owner = _found_at(root, error["loc"])
    if error["type"] == "clash":
        for inner, why in error["ctx"]["found"]:
            yield (*keys, *inner), f"{dotted((*keys, *inner))} {why}"
    elif error["type"] == "extra_forbidden":
        yield keys, _unknown(root, owner, keys)
    elif error["type"] == "union_tag_invalid":
        given = error["input"]["kind"]
        hint = nearest(str(given), (kinds := _kinds(hint)))
        yield (*keys, "kind"), f"{dotted((*keys, 'kind'))} is {_found(given)}, but must be {either(kinds)}{hint}"
    elif error["type"] == "missing":
        yield keys, _missing(keys, hint)
    else:
        value = error["input"]
        yield keys, f"{dotted(keys)} is {_found(value)}, but must be {wanted(hint)}{_nearest_value(value, hint)}"


def _found(value: Any) -> str:
    """A value, and what TOML calls its type."""
    return f"{show(value)} ({_type_name(value)})"


def _found_at(root: type[BaseModel], loc: Iterable[str | int]) -> tuple[Keys, Any, type[BaseModel]]:
    """The keys in ``loc``, the type there, its section. In ``loc``, a table of one of several kinds is followed by its
    kind, and it may end in the names of a union's members.
    """
    keys: list[str | int] = []
    hint: Any = root
    owner = root
    for key in loc:
        section = _section(hint)
        if isinstance(key, int):
            hint = _item(hint)
        elif key in (kinds := _kinds(hint)):
            hint = owner = kinds[key]
            continue
        elif section is None:
            break
        else:
            owner = section
            hint = typing.get_type_hints(section, include_extras=True).get(key)
        keys.append(key)
    return tuple(keys), hint, owner


def _section(hint: Any) -> type[BaseModel] | None:
    """The section that ``hint`` is, or may be."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint
    if typing.get_origin(hint) in (Annotated, typing.Union, types.UnionType):
        return next((found for inner in typing.get_args(hint) if (found := _section(inner))), None)
    return None


def _kinds(hint: Any) -> dict[str, type[BaseModel]]:
    """The sections that may stand where ``hint`` is wanted, by their kind; none if it can be one only."""
    while typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    sections = [inner for inner in typing.get_args(hint) if isinstance(inner, type) and issubclass(inner, BaseModel)]
    if len(sections) < 2:
        return {}
    return {kind: section for section in sections for kind in typing.get_args(section.model_fields["kind"].annotation)}


def _item(hint: Any) -> Any:
    """The type of an item of the tuple that ``hint`` is, or may be."""
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0]
    return next((found for inner in typing.get_args(hint) if (found := _item(inner)) is not None), None)


def _unknown(root: type[Section], owner: type[BaseModel], keys: Keys) -> str:
    """A key, or a section, that nobody knows."""
    *sections, key = keys
    elsewhere = [name for name, field in root.model_fields.items() if str(key) in _fields(field.annotation)]
    hint = nearest(str(key), owner.model_fields)
    if not hint and elsewhere and elsewhere != sections:
        hint = f" (it belongs in [{elsewhere[0]}])"
    valid = ", ".join(owner.model_fields)
    if owner is root:
        known = [name for name, field in root.model_fields.items() if _section(field.annotation)]
        return f"{key} is not a section of a {root.file}{hint}; the sections are {', '.join(known)}"
    return f"{dotted(keys)} is not a setting{hint}; [{dotted(tuple(sections))}] takes {valid}"


def _fields(hint: Any) -> Iterable[str]:
    section = _section(hint)
    return section.model_fields if section else ()


def _missing(keys: Keys, hint: Any) -> str:
    """A key, or a section, that must be there."""
    if len(keys) == 1 and keys[0] in LEAST:
        return f"the section [{keys[0]}] is missing; it needs at least {LEAST[str(keys[0])]}"
    return f"{dotted(keys)} is missing; it must be {wanted(hint)}"


def wanted(hint: Any) -> str:
    """What is valid, in words: those that the type carries, or its own."""
    if typing.get_origin(hint) is Annotated:
        inner, *extras = typing.get_args(hint)
        return next((extra for extra in extras if isinstance(extra, str)), None) or wanted(inner)
    if typing.get_origin(hint) is Literal:
        return either(typing.get_args(hint))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(wanted(inner) for inner in typing.get_args(hint) if inner is not type(None))
    return "true or false" if hint is bool else "a table of settings"


def _nearest_value(value: Any, hint: Any) -> str:
    """A hint at what a text was meant to be: one of the choices, or a number or boolean without quotation marks."""
    if not isinstance(value, str):
        return ""
    words = list(choices(hint))
    if words:
        return nearest(value.lower(), words)
    if value in ("true", "false") or value.replace(".", "", 1).replace("e-", "", 1).isdecimal():
        return f" (without quotation marks: {value})"
    return ""


def choices(hint: Any) -> Iterator[str]:
    """The words that may stand where ``hint`` is wanted."""
    if typing.get_origin(hint) is Literal:
        yield from typing.get_args(hint)
    else:
        for inner in typing.get_args(hint):
            yield from choices(inner)


def _type_name(value: Any) -> str:
    """What TOML calls the type of ``value``."""
    names = {bool: "a boolean", int: "an integer", float: "a float", str: "text", list: "a list", dict: "a table"}
    return names.get(type(value), type(value).__name__)
