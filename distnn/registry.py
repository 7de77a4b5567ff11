"""Kinds: classes that are registered where they are defined, and the settings that their constructors take.

    class Optimizer(Registered, family=Family("optimiser", …)): …

    @dataclass(frozen=True)
    class SGD(Optimizer, kind="sgd"):
        learning_rate: Positive = 0.1  #: the length of a step

The arguments of a constructor are the keys that a run file has for its kind. Their annotations say what is valid, and
in which words; the comments ``#:`` above or behind them say what they mean. ``module:Class`` is a user's own class.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import math
import numbers
import operator
import re
import sys
import types
import typing
from abc import ABC
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Len, Lt, MinLen

from distnn.errors import RunFileError, UsageError, described, nearest

# What numbers, and lists of them, may be: the words are those of messages.
Count = Annotated[int, Ge(1), "an integer of at least 1"]
CountOrZero = Annotated[int, Ge(0), "an integer of at least 0"]
Positive = Annotated[float, Gt(0), "a finite number above 0"]
NotNegative = Annotated[float, Ge(0), "a finite number of at least 0"]
BelowOne = Annotated[float, Ge(0), Lt(1), "a number of at least 0 and below 1"]
Fraction = Annotated[float, Gt(0), Le(1), "a number above 0, up to 1"]
Between = Annotated[float, Gt(0), Lt(1), "a number above 0 and below 1"]
Widths = Annotated[Sequence[Count], "a list of integers of at least 1, such as [64, 32]"]
Channels = Annotated[Sequence[Count], MinLen(1), "a list of one or more integers of at least 1, such as [16, 32, 64]"]
Weights = Annotated[Sequence[NotNegative], "a list of numbers of at least 0, one per class, such as [1.0, 2.5]"]
Pair = Annotated[Sequence[Count], Len(2, 2)]
Lengths = Annotated[Count | Pair, "an integer of at least 1, or two of them, [height, width]"]

#: The default of a key that must be given.
REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Meaning:
    """Says what an argument of a type means, where no comment beside it does."""

    text: str


Initialization = Annotated[
    Literal["auto", "glorot", "he"],
    Meaning("of the weights; auto is He's before a ReLU and its kin, and Glorot's otherwise"),
]


@dataclass(frozen=True)
class FromData:
    """Marks an argument that a run file may leave out for the number of the data's outputs.

    Arguments:
        last: only the last layer of a network may.
    """

    last: bool = False


@dataclass(frozen=True)
class Stack:
    """Marks an argument that is a layer, and in a run file a list of tables, one for each of several layers."""


@dataclass(frozen=True, eq=False)
class Named:
    """Marks an argument that a run file gives by its kind in this family."""

    family: Family


@dataclass(eq=False)
class Family:
    """What a run file can name by its kind.

    Arguments:
        name: what messages call one of them.
        meaning: of the key ``kind``.
        about: the run file's section.
        default: the kind that stands for none given.
        apart: arguments of constructors that are no keys of a run file.

    Attributes:
        base: the class that all are derived from; None where they are functions.
        kinds: them, in the order in which they were defined.
    """

    name: str
    meaning: str = ""
    about: str = ""
    default: str = ""
    apart: tuple[str, ...] = ()
    base: type | None = None
    kinds: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def find(self, kind: str) -> Callable[..., Any]:
        """What is of this kind: registered here, or a class of the user's own, ``module:Class``.

        Raises:
            UsageError: for an unknown kind, with the nearest one, or a class that isn't there, of the family, or whole.
        """
        known = ", ".join(sorted(self.kinds))
        if not isinstance(kind, str):
            raise UsageError(f"{kind!r} is no {self.name}; expected a name, one of: {known}.")
        if kind not in self.kinds and (":" not in kind or self.base is None):
            raise UsageError(f"unknown {self.name} '{kind}'{nearest(kind, self.kinds)}; known are {known}.")
        found: Any = self.kinds.get(kind) or load(kind, "class")
        if self.base and not (isinstance(found, type) and issubclass(found, self.base)):
            base = f"{self.base.__module__}.{self.base.__name__}"
            raise RunFileError(f'"{kind}": this is no {self.name}; expected a class that is derived from {base}.')
        for method in sorted(getattr(found, "__abstractmethods__", ())):
            arguments = ", ".join([*inspect.signature(getattr(found, method)).parameters][1:])
            raise RunFileError(f'"{kind}": this {self.name} has to define the method {method}({arguments}).')
        return found  # type: ignore[no-any-return]

    def named(self, thing: object) -> str:
        """The kind of an object of the family, or ``module:Class``; ``python:Class`` if no import finds its class."""
        cls = type(thing)
        kind = vars(cls).get("kind", "")
        if isinstance(kind, str) and self.kinds.get(kind) is cls:
            return kind
        module = sys.modules.get(cls.__module__)
        found = cls.__module__ != "__main__" and getattr(module, cls.__name__, None) is cls
        return f"{cls.__module__}:{cls.__name__}" if found else f"python:{cls.__name__}"

    def keys(self, made: Callable[..., Any]) -> dict[str, Key]:
        """The keys of a run file for one of the family."""
        return {name: key for name, key in keys(made).items() if name not in self.apart}


class Registered(ABC):
    """The base of a family's classes: ``family=`` in its own base, ``kind=`` in those that a run file can name.

    Numbers that the annotations of a constructor's arguments, or of a dataclass's fields, don't allow are refused.

    Attributes:
        kind: the word for it in run files; that of a parent, or empty, for a class without one.
    """

    family: ClassVar[Family]
    kind: ClassVar[str] = ""

    def __init_subclass__(cls, *, kind: str = "", family: Family | None = None, **others: Any) -> None:
        super().__init_subclass__(**others)
        if "__init__" in vars(cls):
            cls.__init__ = _checking(cls.__init__)  # type: ignore[method-assign]
        if family:
            cls.family, family.base = family, cls
        if kind:
            other = cls.family.kinds.get(kind)
            if other and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
                raise UsageError(
                    f"{cls.__module__}.{cls.__qualname__}: kind '{kind}' stands for another {cls.family.name} already, "
                    f"{other.__module__}.{other.__qualname__}; choose another word."
                )
            cls.kind = kind
            cls.family.kinds[kind] = cls

    def __post_init__(self) -> None:
        """The check of a dataclass, whose constructor is made after ``__init_subclass__`` has run."""
        _check(self, type(self), vars(self))


@dataclass(frozen=True)
class Key:
    """An argument: its annotation, and its default, or `REQUIRED`."""

    hint: Any
    default: Any

    def marked(self, mark: type) -> Any:
        """The mark of this type in the annotation, or None."""
        return next((extra for extra in _extras(self.hint) if isinstance(extra, mark)), None)


@functools.cache
def keys(made: Callable[..., Any]) -> dict[str, Key]:
    """The arguments of a class's constructor, or of a function, by name.

    One whose type can't be written in a run file is left out if it has a default.

    Raises:
        UsageError: if it has none.
    """
    hints = _hints(made)
    found = {}
    for name, parameter in inspect.signature(made).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        hint = hints.get(name, Any)
        if _writable(hint):
            found[name] = Key(hint, parameter.default)
        elif parameter.default is REQUIRED:
            raise UsageError(
                f"{made.__qualname__}: a run file can't hold what the argument {name} takes; annotate it with bool, "
                f"int, float, str or a list of them, or give it a default."
            )
    return found


def _hints(made: Any) -> dict[str, Any]:
    """The annotations of its arguments; of a dataclass each in its own class's module.

    Raises:
        UsageError: if an annotation names what its module doesn't have when it runs.
    """
    owner = next((each for each in getattr(made, "__mro__", ()) if "__init__" in vars(each)), None)
    by_fields = owner is None or "__dataclass_fields__" in vars(owner)
    try:
        return typing.get_type_hints(made if by_fields else vars(owner)["__init__"], include_extras=True)
    except NameError as error:
        raise UsageError(f"{made.__qualname__}: an annotation can't be read: {error}.") from None


def options_of(made: Callable[..., Any]) -> str:
    """The argument that is given by its kind, whose own arguments it takes too, as ``**options``; empty if none is."""
    if not any(each.kind is each.VAR_KEYWORD for each in inspect.signature(made).parameters.values()):
        return ""
    return next((name for name, key in keys(made).items() if key.marked(Named)), "")


def _extras(hint: Any) -> tuple[Any, ...]:
    """What an annotation carries, or those of the members of a union."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return tuple(extra for inner in typing.get_args(hint) for extra in _extras(inner))
    return typing.get_args(hint)[1:] if typing.get_origin(hint) is Annotated else ()


def _writable(hint: Any) -> bool:
    """Whether a run file can hold a value of this type."""
    if any(isinstance(extra, Named | Stack) for extra in _extras(hint)) or hint in (Any, bool, int, float, str, None):
        return True
    inner = [each for each in typing.get_args(hint) if each is not Ellipsis]
    if typing.get_origin(hint) is Annotated:
        return _writable(inner[0])
    known = (tuple, list, Sequence, typing.Union, types.UnionType)
    return typing.get_origin(hint) is Literal or (
        typing.get_origin(hint) in known and all(each is types.NoneType or _writable(each) for each in inner)
    )


def _checking(constructor: Callable[..., None]) -> Callable[..., None]:
    """The constructor, which then checks its arguments."""
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def checking(self: Any, *args: Any, **options: Any) -> None:
        constructor(self, *args, **options)
        _check(self, constructor, signature.bind(self, *args, **options).arguments)

    return checking


def _check(thing: Any, annotated: Any, values: Mapping[str, Any]) -> None:
    """Refuse numbers that its annotations don't allow, by a UsageError that says what is valid."""
    for name, (kind, *extras) in _numbers(annotated).items():
        value = values.get(name)
        if value is not None and not (isinstance(value, kind) and _within(value, extras)):
            words = next((extra for extra in extras if isinstance(extra, str)), "another")
            raise UsageError(f"{type(thing).__name__}: {name} is {value}; expected {words}.")


@functools.cache
def _numbers(annotated: Any) -> dict[str, tuple[Any, ...]]:
    """By name what is annotated as a number within limits, or as one or None: its type and annotations."""
    try:
        hints = typing.get_type_hints(annotated, include_extras=True)
    except NameError:  # what an annotation names may be there for type checkers only
        return {}
    found = {}
    for name, hint in hints.items():
        union = typing.get_origin(hint) in (typing.Union, types.UnionType)
        members = [each for each in (typing.get_args(hint) if union else (hint,)) if each is not types.NoneType]
        if len(members) == 1 and typing.get_origin(members[0]) is Annotated:
            number, *extras = typing.get_args(members[0])
            if number in _KINDS and any(isinstance(extra, _LIMITS) for extra in extras):
                found[name] = (_KINDS[number], *extras)
    return found


_KINDS = {int: numbers.Integral, float: numbers.Real}
_LIMITS = (Gt, Ge, Lt, Le)


def _within(value: Any, extras: Sequence[Any]) -> bool:
    """Whether a number is finite, and within the limits among the extras; booleans are no numbers."""
    limits = [(type(extra).__name__.lower(), extra) for extra in extras if isinstance(extra, _LIMITS)]
    fits = all(getattr(operator, name)(value, getattr(limit, name)) for name, limit in limits)
    return fits and math.isfinite(value) and not isinstance(value, bool)


_TRUSTED: ContextVar[bool] = ContextVar("trusted", default=True)


@contextlib.contextmanager
def untrusted() -> Iterator[None]:
    """Inside, no code runs because settings name it: a checkpoint or a run file may be somebody else's."""
    token = _TRUSTED.set(False)
    try:
        yield
    finally:
        _TRUSTED.reset(token)


def load(reference: str, what: str) -> Any:
    """What ``module:name`` names; modules in the working directory are found too. It runs the module's code.

    This is the one place where code runs because a run file, or the settings in a checkpoint, names it; inside
    `untrusted` none does, and only registered classes that the program has imported itself are there.

    Arguments:
        reference: ``module:name``.
        what: it is called in an error: a class, or a function.

    Raises:
        RunFileError: if there is no such module, or nothing of this name in it, or it may not be imported.
    """
    module_name, _, name = reference.partition(":")
    if module_name == "python":
        raise RunFileError(
            f'"{reference}": this was made in Python and passed to distnn.fit; put it into a module and name that.'
        )
    if not _REFERENCE.fullmatch(reference):
        raise RunFileError(f'"{reference}": expected text such as "module:{"Class" if what == "class" else what}".')
    if not _TRUSTED.get():
        known = getattr(sys.modules.get(module_name), name, None)
        if isinstance(known, type) and issubclass(known, Registered):
            return known
        raise RunFileError(
            f'"{reference}": this names code, which could do anything, so it wasn\'t imported. If you know who wrote '
            f"it, say so with --trust-code; {module_name} is then imported from the working directory or Python's path."
        )
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == module_name:
            where = f"in the working directory ({Path.cwd()}) or on Python's path"
            raise RunFileError(f"\"{reference}\": there is no module '{module_name}' {where}.") from None
        raise RunFileError(f"\"{reference}\": importing '{module_name}' failed: {described(error)}.") from error
    if not callable(getattr(module, name, None)):
        raise RunFileError(f"\"{reference}\": module '{module_name}' has no {what} '{name}'.")
    return getattr(module, name)


#: ``module:name``.
_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
#: An argument in the source of a signature or a class, with what follows its type and default on the same line.
_ARGUMENT = re.compile(r" {4}(\w+)(?:\s?[:=,].*?)?(?:  #: (.*))?")


def comments(lines: Sequence[str], names: typing.Container[str]) -> dict[str, str]:
    """The comments ``#:`` above or behind these names in the source of a function's signature, or a class's body."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in inspect.cleandoc("\n" + "\n".join(lines)).splitlines():
        if line.startswith("    #: "):
            above.append(line[7:].strip())
            continue
        match = _ARGUMENT.fullmatch(line)
        if match and match[1] in names and (text := " ".join([*above, match[2] or ""]).strip()):
            found.setdefault(match[1], text)
        above = []
    return found


def meanings(made: Callable[..., Any]) -> dict[str, str]:
    """What the comments ``#:`` beside a constructor's arguments say, or a parent's, or their types (`Meaning`)."""
    names = keys(made)
    found = {name: told.text for name, key in names.items() if (told := key.marked(Meaning))}
    for owner in reversed(made.__mro__ if isinstance(made, type) else (made,)):
        own = isinstance(owner, type) and "__dataclass_fields__" not in vars(owner)
        source = vars(owner).get("__init__") if own else owner
        if source is None or owner is object:
            continue
        try:
            found |= comments(inspect.getsource(source).splitlines(), names)
        except (OSError, TypeError):  # typed into an interpreter
            continue
    return found
