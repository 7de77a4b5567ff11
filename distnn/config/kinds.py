"""Sections and tables of one of several kinds: their keys are the arguments of what is registered for the kind."""

from __future__ import annotations

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainValidator, ValidationError, ValidatorFunctionWrapHandler, WrapValidator, create_model
from pydantic_core import PydanticCustomError

from distnn import registry
from distnn.config.section import Section, clash
from distnn.config.text import Keys, described, either, show
from distnn.errors import UsageError, nearest
from distnn.registry import REQUIRED, Family, FromData, Key, Meaning, Named, Stack, options_of


@dataclass(frozen=True, eq=False)
class OneOf:
    """Marks a section, or table, that is of a kind of this family."""

    family: Family


@dataclass(frozen=True)
class Choice:
    """What a section describes.

    Arguments:
        family, kind, made: the family, the kind as it is given, and what it stands for.
        inner: what its table names that has further keys in this table, such as an activation; None if nothing.
    """

    family: Family
    kind: str
    made: Callable[..., Any]
    inner: Choice | None = None

    def keys(self) -> dict[str, Key]:
        """The keys of its table, besides the kind."""
        return self.family.keys(self.made) | (self.inner.keys() if self.inner else {})


class KindSettings(Section):
    """What all sections of a kind have.

    Attributes:
        chosen: what it describes.
    """

    chosen: ClassVar[Choice]
    kind: str

    def make(self) -> Any:
        """What the section describes.

        Raises:
            UsageError: if values contradict each other.
        """
        return self.chosen.made(**{key: value for key, value in self.table().items() if key != "kind"})

    @classmethod
    def stray(cls, key: str) -> str:
        """A section's key that another kind takes, or a table's option of another activation, say."""
        chosen = cls.chosen
        if chosen.inner:
            word = options_of(chosen.made)
            return belongs(chosen.inner.family, key, f"{word} = {show(chosen.inner.kind)}", word)
        return belongs(chosen.family, key, f"kind = {show(chosen.kind)}") if chosen.family.about else ""

    def clashes(self) -> list[tuple[Keys, str]]:
        """Lists of tables that lack something; and of a section, what the constructor refuses."""
        stacks = [name for name, key in self.chosen.keys().items() if key.marked(Stack)]
        lists = {name: tables for name in stacks if (tables := getattr(self, name)) is not None}
        found = [lack for name, tables in lists.items() for lack in incomplete(name, tables)]
        if self.chosen.family.base is None or not self.chosen.family.about:
            return found
        try:
            self.make()
        except (UsageError, ValueError, TypeError) as error:
            return [_refusal(self.chosen, error)]
        return []


def _refusal(chosen: Choice, error: Exception) -> tuple[Keys, str]:
    """The key that a constructor blames, and its words."""
    words = str(error).removesuffix(".").removeprefix(f"{chosen.made.__name__}: ")
    keys = error.keys[:1] if isinstance(error, UsageError) else ()
    if keys and words.startswith(f"{keys[0]} "):
        return keys, words.removeprefix(f"{keys[0]} ")
    return ("kind",), f"= {show(chosen.kind)}: {words}"


def belongs(family: Family, key: str, given: str, word: str = "kind") -> str:
    """Why ``key`` has no meaning beside what is ``given``: whose it is; empty if it is nobody's."""
    owners = [kind for kind, made in family.kinds.items() if key in family.keys(made)]
    return f"belongs to {word} = {either(owners)} and has no meaning with {given}; remove it" if owners else ""


def choose(family: Family, given: Any = types.MappingProxyType({})) -> KindSettings:
    """The section for the kind that a table gives, or the family's default kind."""
    if isinstance(given, KindSettings):
        return given
    if not isinstance(given, Mapping):
        raise PydanticCustomError("value", "no table")
    made: KindSettings = checked(section_of(choice(family, given)), dict(given))
    return made


def choice(family: Family, given: Mapping[str, Any]) -> Choice:
    """What a table is about."""
    kind = given.get("kind", family.default)
    if not isinstance(kind, str) or not (kind in family.kinds or (":" in kind and family.base)):
        hint = nearest(str(kind), family.kinds)
        raise clash((("kind",), f"is {described(kind)}, but must be {either(family.kinds)}{hint}"))
    try:
        found = Choice(family, kind, family.find(kind))
        if named := options_of(found.made):
            key = found.keys()[named]
            wished, inner = given.get(named, key.default), key.marked(Named).family
            if isinstance(wished, str) and (wished in inner.kinds or ":" in wished):
                found = replace(found, inner=Choice(inner, wished, inner.find(wished)))
        if name := _taken(found.keys()):
            raise UsageError(f"{show(kind)}: no setting can be called {name}, as one of its arguments is; rename that.")
    except UsageError as error:
        raise clash((("kind",), f"= {str(error).removesuffix('.')}")) from None
    return found


def _taken(names: Iterable[str]) -> str:
    """The first of these names that no key can have, since every section has something else by it; empty for none."""
    own = ("kind", "chosen")
    return next((name for name in names if name in own or name[0] == "_" or hasattr(KindSettings, name)), "")


def checked(section: type[Section], given: Any) -> Any:
    """The section of a table; an error carries the section, which explains it."""
    try:
        return section.model_validate(given)
    except ValidationError as error:
        raise PydanticCustomError("inside", "{section}", {"section": section, "errors": error.errors()}) from None


@functools.cache
def section_of(chosen: Choice) -> type[KindSettings]:
    """The section with the keys of this kind."""
    family = chosen.family
    fields: dict[str, Any] = {"kind": (Annotated[str, Named(family)], chosen.kind)}
    for name, key in chosen.keys().items():
        hint = strict(key.hint, family)
        if key.marked(FromData):
            fields[name] = (hint | None, None)
        else:
            fields[name] = (hint, ... if key.default is REQUIRED else key.default)
    section = create_model(f"{chosen.made.__name__}Settings", __base__=KindSettings, **fields)
    section.chosen = chosen
    return section


def recorded(family: Family, thing: object) -> KindSettings:
    """The section that describes an object, by its kind and its keys; nothing is built from it.

    Where it doesn't keep an argument under its name, no setting can have the name, or TOML can't hold the value, that
    is only ``python:Class``: built from the rest, it would be another.
    """
    names = [name for name in inspect.signature(type(thing)).parameters if name not in family.apart]
    values = {name: _plain(getattr(thing, name, REQUIRED)) for name in names}
    if _taken(names) or any(value is REQUIRED for value in values.values()):
        table: dict[str, Any] = {"kind": f"python:{type(thing).__name__}"}
    else:
        table = {"kind": family.named(thing)} | {name: value for name, value in values.items() if value is not None}
    fields: dict[str, Any] = {name: (Any, value) for name, value in table.items()}
    section = create_model(f"{type(thing).__name__}Record", __base__=KindSettings, **fields)
    section.chosen = Choice(family, table["kind"], type(thing))
    return section.model_construct(**table)


def _plain(value: Any) -> Any:
    """A value as TOML holds it, numpy's numbers and arrays as Python's; `REQUIRED` if it can't."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, tuple | list):
        items = [_plain(item) for item in value]
        return REQUIRED if any(item is REQUIRED or item is None for item in items) else type(value)(items)
    return value if value is None or isinstance(value, bool | int | float | str) else REQUIRED


def strict(hint: Any, family: Family) -> Any:
    """The type of an argument as pydantic checks it in a run file: lists for sequences, kinds for what has a kind."""
    inner = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin is Annotated:
        base, *extras = inner
        named = next((extra for extra in extras if isinstance(extra, Named)), None)
        if named:
            return Annotated[str, PlainValidator(functools.partial(_named, named.family)), named]
        if any(isinstance(extra, Stack) for extra in extras):
            return tables_of(family)
        words = any(isinstance(extra, str) for extra in extras)
        whole = [WrapValidator(_whole)] if words and typing.get_origin(base) in (typing.Union, types.UnionType) else []
        return Annotated[(strict(base, family), *extras, *whole)]
    if origin in (list, Sequence):
        return Annotated[tuple[strict(inner[0], family), ...], Field(strict=False)]  # type: ignore[misc]
    if origin is tuple:
        items = tuple(each if each is Ellipsis else strict(each, family) for each in inner)
        return Annotated[tuple[items], Field(strict=False)]  # type: ignore[valid-type]
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(strict(each, family) for each in inner)]  # noqa: UP007 (made of a tuple)
    return hint


def _whole(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """A value of one of several types: where it is of none, there is one mistake, and not one for each type."""
    try:
        return check(value)
    except ValidationError:
        raise PydanticCustomError("value", "of no type that may stand here") from None


def _named(family: Family, value: Any) -> str:
    """The kind of something that is named within a table, such as an activation."""
    if not isinstance(value, str) or not (value in family.kinds or ":" in value):
        raise PydanticCustomError("value", "no kind of the family")
    try:
        family.find(value)
    except UsageError as error:
        raise clash(((), f"= {str(error).removesuffix('.')}")) from None
    return value


def tables_of(family: Family) -> Any:
    """The type of a list of tables of this family."""
    table = Annotated[
        KindSettings, PlainValidator(functools.partial(choose, family)), OneOf(family), "a table of settings"
    ]
    return Annotated[tuple[table, ...], Field(strict=False), "a list of tables, each written [[model.layers]]"]


def incomplete(key: str, tables: Sequence[KindSettings], *, last: bool = False) -> list[tuple[Keys, str]]:
    """What is missing from the list under ``key``: tables, and units; ``last``: its last table may leave them out."""
    if not tables:
        return [((key,), "is empty, but must hold at least one table")]
    why = "is missing: only the network's last layer may leave it out (it has one unit per output of the data)"
    return [
        ((key, place, name), why)
        for place, table in enumerate(tables[: len(tables) - last])
        for name, argument in table.chosen.keys().items()
        if argument.marked(FromData) == FromData(last=True) and getattr(table, name) is None
    ]


def meanings(section: type[Section]) -> dict[str, str]:
    """What each key means: the comment ``#:`` beside it, in the section's class or its kind's constructor.

    >>> from distnn.config.sections import LogSettings
    >>> meanings(LogSettings)["interval"]
    'seconds between two lines of a log file and of metrics.jsonl; 0: a line for each step'
    """
    if not issubclass(section, KindSettings):
        fields = section.model_fields.items()
        told = {key: extra.text for key, field in fields for extra in field.metadata if isinstance(extra, Meaning)}
        return told | registry.comments(inspect.getsource(section).splitlines(), section.model_fields)
    chosen = section.chosen
    options = registry.meanings(chosen.inner.made) if chosen.inner else {}
    return {"kind": chosen.family.meaning} | registry.meanings(chosen.made) | options


def about(section: type[Section]) -> str:
    """The first paragraph of a section's docstring, without the section's name; the rest is said of the keys."""
    if issubclass(section, KindSettings):
        return section.chosen.family.about
    text = inspect.cleandoc(section.__doc__ or "").partition("\n\n")[0]
    text = re.sub(r"^``\[\w+\]``: ", "", text)
    return re.sub(r"\s+", " ", text[:1].upper() + text[1:].replace("``", "`"))
