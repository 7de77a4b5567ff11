"""A mistake that pydantic found, in the words of this project: the key, what was found, what is valid, the nearest."""

from __future__ import annotations

import itertools
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from distnn.config.kinds import OneOf
from distnn.config.section import Section
from distnn.config.text import DEEPEST, Keys, described, dotted, either, walk
from distnn.errors import RunFileError, nearest
from distnn.registry import Named

#: What a section that may not be missing must at least hold.
LEAST = {
    "model": 'kind = "mlp"',
    "data": 'path = "data/digits.h5"',
    "node": "cores, ranks and threads, such as 128, 32 and 4",
}
#: What a value must be whose type carries no words of its own.
PLAIN = {bool: "true or false", int: "an integer", float: "a finite number", str: "text in quotation marks"}


#: A message of more mistakes than these wouldn't be read.
MOST = 20

Root = TypeVar("Root", bound=Section)


def validated(
    root: type[Root], table: Mapping[str, Any], place: Callable[[Keys], str], what: str, mistakes: Sequence[str] = ()
) -> Root:
    """The settings, of the type ``root``, in the nested ``table`` of a whole file, which an error calls ``what``.

    Raises:
        RunFileError: naming every mistake, after those found before, and the place where each value was given.
    """
    found = dict(_beyond(table))
    if all(len(keys) <= DEEPEST for keys in found):
        try:
            settings = root.model_validate(dict(table))
        except ValidationError as error:
            items = itertools.chain.from_iterable(explained(root, item) for item in error.errors())
            for keys, words in items:
                found[keys] = words
                if len(found) > MOST:
                    break
    mistakes = [*mistakes, *(f"{place(keys)}: {words}." for keys, words in found.items())]
    if mistakes:
        many = len(mistakes) > MOST
        heading = (
            f"{f'the first {MOST}' if many else len(mistakes)} mistakes in {what}:\n  " if len(mistakes) > 1 else ""
        )
        raise RunFileError(heading + "\n  ".join(mistakes[:MOST]))
    return settings


def _beyond(table: Mapping[str, Any]) -> Iterator[tuple[Keys, str]]:
    """The values, by keys, that no setting takes, and with which Python or numpy fail before that can be told."""
    for keys, value in walk(table):
        if len(keys) > DEEPEST:
            yield keys, f"{dotted(keys[:2])} is nested too deeply: more than {DEEPEST} tables and lists"
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            yield keys, f"{dotted(keys)} is an integer beyond 64 bits"


def explained(
    root: type[Section], error: Mapping[str, Any], section: type[Section] | None = None, before: Keys = ()
) -> Iterator[tuple[Keys, str]]:
    """The (keys, words) of one item of pydantic's ``errors()`` on the model ``root``.

    A union yields an item per member, which all come to the same keys and words; the caller keeps one. The item is of
    the ``section`` within the root whose keys are those ``before``, or of the root itself.
    """
    inner, hint, owner = _found_at(section or root, error["loc"])
    keys = (*before, *inner)
    if error["type"] == "inside":
        for item in error["ctx"]["errors"]:
            yield from explained(root, item, error["ctx"]["section"], keys)
    elif error["type"] == "clash":
        for inner, why in error["ctx"]["found"]:
            yield (*keys, *inner), f"{dotted((*keys, *inner))} {why}"
    elif error["type"] == "extra_forbidden":
        yield keys, _unknown(root, owner, keys)
    elif error["type"] == "missing":
        yield keys, _missing(keys, hint)
    else:
        value = error["input"]
        yield keys, f"{dotted(keys)} is {described(value)}, but must be {wanted(hint)}{_nearest_value(value, hint)}"


def _found_at(section: type[Section], loc: Iterable[str | int]) -> tuple[Keys, Any, type[Section]]:
    """The keys in ``loc``, which may end in the names of a union's members; the type there, and its section."""
    keys: list[str | int] = []
    hint: Any = section
    owner = section
    for key in loc:
        if isinstance(key, int):
            hint = next((typing.get_args(each)[0] for each in _members(hint) if typing.get_origin(each) is tuple), None)
        else:
            inside = _section(hint)
            if inside is None:
                break
            owner = inside
            hint = typing.get_type_hints(owner, include_extras=True).get(key)
        keys.append(key)
    return tuple(keys), hint, owner


def _section(hint: Any) -> type[Section] | None:
    """The section that ``hint`` is, or may be."""
    return next((each for each in _members(hint) if isinstance(each, type) and issubclass(each, Section)), None)


def _members(hint: Any) -> Iterator[Any]:
    """The types that ``hint`` may be, and what annotates them."""
    if typing.get_origin(hint) in (Annotated, typing.Union, types.UnionType):
        for inner in typing.get_args(hint):
            yield from _members(inner)
    else:
        yield hint


def _unknown(root: type[Section], owner: type[Section], keys: Keys) -> str:
    """A key, or a section, that the owner doesn't take."""
    *sections, key = keys
    if why := owner.stray(str(key)):
        return f"{dotted(keys)} {why}"
    elsewhere = [name for name, field in root.model_fields.items() if str(key) in _keys(field)]
    hint = nearest(str(key), owner.model_fields)
    if not hint and elsewhere and elsewhere != sections:
        hint = f" (it belongs in [{elsewhere[0]}])"
    valid = ", ".join(owner.model_fields)
    if owner is root:
        known = [name for name, field in root.model_fields.items() if _section(field.annotation)]
        return f"{key} is not a section of a {root.file}{hint}; the sections are {', '.join(known)}"
    return f"{dotted(keys)} is not a setting{hint}; [{dotted(tuple(sections))}] takes {valid}"


def _keys(field: FieldInfo) -> Iterable[str]:
    """The keys of the section that a field is, whatever its kind."""
    for extra in field.metadata:
        if isinstance(extra, OneOf):
            return {key for made in extra.family.kinds.values() for key in extra.family.keys(made)}
    section = _section(field.annotation)
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
        for extra in extras:
            if isinstance(extra, Named):
                return either(extra.family.kinds)
        return next((extra for extra in extras if isinstance(extra, str)), None) or wanted(inner)
    if typing.get_origin(hint) is Literal:
        return either(typing.get_args(hint))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(wanted(inner) for inner in typing.get_args(hint) if inner is not type(None))
    if typing.get_origin(hint) is tuple:
        return "a list"
    return PLAIN.get(hint, "a table of settings" if _section(hint) else "a value")


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
    elif isinstance(hint, Named):
        yield from hint.family.kinds
    else:
        for inner in typing.get_args(hint):
            yield from choices(inner)
