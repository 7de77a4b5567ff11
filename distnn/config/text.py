"""The text of a run or site file: reading TOML, ``--set`` overrides, finding the line of a key, and writing TOML.

Knows nothing of what the keys mean (that is `distnn.config`), so it serves any table of settings.
"""

from __future__ import annotations

import functools
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from distnn.errors import RunFileError

#: The way to a value: names of tables and keys, and positions in lists.
Keys = tuple[str | int, ...]

#: Levels of tables and lists; about three times as many end in Python's own limit.
DEEPEST = 128
#: What hides brackets and line ends from who looks for the end of a setting, or is one of them.
_TOKEN = re.compile(
    r"""#[^\n]*|"{3}(?:\\[\s\S]|[^\\])*?"{3,5}|'{3}[\s\S]*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[\[\]{}\n]"""
)
#: A name in a key, or any other word or text on one line, also one that doesn't end; and such with dots in between, or
#: what may hold dots that are none of a key's.
_NAME = r"""(?:[\w-]++|"(?:\\.|[^"\\\n])*+"?+|'[^'\n]*+'?+)"""
_DOTTED = re.compile(
    r"""#[^\n]*+|"{3}(?:\\[\s\S]|[^\\])*?(?:"{3,5}|\Z)|'{3}[\s\S]*?(?:'{3,5}|\Z)|"""
    rf"(?P<key>{_NAME}(?:[ \t]*+\.[ \t]*+{_NAME})*+)"
)
#: A number that --set takes, though TOML doesn't.
_NUMBER = re.compile(r"([+-]?)(\d*)\.(\d*)([eE][+-]?\d+)?")


def load(path: str | Path, what: str = "run file") -> tuple[dict[str, Any], str]:
    """Read a TOML file: its table, and its text; ``what`` it is called in an error.

    Raises:
        RunFileError: it is missing, a directory, not readable, not UTF-8, or not TOML (with the line).
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # it would be waited for, or have no end
            raise RunFileError(f"{path} is a pipe, a device or a socket; expected a {what} (TOML).")
        # Editors under Windows put a mark (BOM) before the text, which is no part of it.
        text = path.read_bytes().decode("utf-8-sig")
        return parsed(text), text
    except IsADirectoryError:
        raise RunFileError(
            f"{path} is a directory; expected a {what} (TOML). Name the file, such as {path}/"
            f"{what.removesuffix(' file')}.toml."
        ) from None
    except FileNotFoundError:
        raise RunFileError(
            f"the {what} {path} does not exist{_similar(path, what)}. Check the path; paths are taken "
            f"from the current directory, {Path.cwd()}."
        ) from None
    except OSError as error:
        raise RunFileError(f"the {what} {path} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        utf16 = error.object[:2] in (b"\xff\xfe", b"\xfe\xff")
        which = "it is in UTF-16; save it as UTF-8" if utf16 else f"byte {error.start} is not"
        raise RunFileError(f"{path} is not a text file in UTF-8 ({which}); expected a {what} (TOML).") from None
    except ValueError as error:
        raise RunFileError(
            f'{path} is not valid TOML: {error}. Text goes in quotation marks, as in kind = "mlp"; '
            "true and false are written small; a number begins with a digit, as in 0.01; a key or section may be given "
            "once only."
        ) from None


def parsed(text: str) -> dict[str, Any]:
    """The table of a TOML text.

    Raises:
        ValueError: it is not valid, with the line where that is known.
    """
    _check_keys(text)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("lists or tables are nested too deeply") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # Python doesn't convert so many digits
        raise ValueError("a number has thousands of digits") from None


def _check_keys(text: str) -> None:
    """Refuse keys of very many names, for which the time of `tomllib` grows with the square of their number."""
    if text.count(".") < DEEPEST:
        return
    for each in _DOTTED.finditer(text):
        if (each["key"] or "").count(".") >= DEEPEST and len(re.findall(_NAME, each["key"])) > DEEPEST:
            line = text.count("\n", 0, each.start()) + 1
            raise ValueError(f"a key has more than {DEEPEST} names (at line {line})")


def _similar(path: Path, what: str) -> str:
    """The files that stand where ``path`` was looked for."""
    found = sorted(other.name for other in path.parent.glob("*.toml")) if path.parent.is_dir() else []
    return f" ({what}s there: {', '.join(found[:5])}{', …' if len(found) > 5 else ''})" if found else ""


def parse_override(text: str) -> tuple[Keys, Any]:
    """Take ``section.key=value`` apart; the value is read as TOML, ``.5`` as a number, and a bare word as text.

    >>> parse_override("train.epochs=3")
    (('train', 'epochs'), 3)
    >>> parse_override("data.path=fm.h5")
    (('data', 'path'), 'fm.h5')
    >>> parse_override("model.layers.0.units=32")
    (('model', 'layers', 0, 'units'), 32)

    Raises:
        RunFileError: it has no ``=``, no value, or an opening quotation mark or bracket without its end.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    names = name.split(".")
    if not equals or not value or "" in names:
        raise RunFileError(f"--set {text}: expected section.key=value, as in --set train.epochs=3.")
    keys = tuple(int(part) if part.isdecimal() and len(part) < 10 else part for part in names)
    if (number := _NUMBER.fullmatch(value)) and (number[2] or number[3]):
        value = f"{number[1]}{number[2] or 0}.{number[3] or 0}{number[4] or ''}"
    try:
        return keys, parsed(f"value = {value}")["value"]
    except ValueError as error:
        if value[0] in "\"'[{" or not isinstance(error, tomllib.TOMLDecodeError):
            raise RunFileError(
                f"--set {text}: the value is not valid TOML: {error}. "
                "Put the whole in single quotes, as in --set 'model.hidden=[64, 32]'."
            ) from None
        return keys, value


def apply_override(table: dict[str, Any], keys: Keys, value: Any) -> Keys | None:
    """Put ``value`` at ``keys`` of ``table``, making tables on the way.

    Returns None, or, where the way is barred by a value that is no table (or a list that is too short), the keys of
    that value; ``table`` is then unchanged.
    """
    here: Any = table
    for depth, key in enumerate(keys):
        fits = isinstance(key, int) and key < len(here) if isinstance(here, list) else isinstance(here, dict)
        if not fits:
            return keys[:depth]
        name: Any = key if isinstance(here, list) else str(key)
        if depth == len(keys) - 1:
            here[name] = value
        else:
            here = here[name] if isinstance(here, list) else here.setdefault(name, {})
    return None


def line_of(text: str, keys: Keys) -> int | None:
    """The line (from 1) on which the value at ``keys`` begins, or the nearest table around it; None if neither."""
    lines = _lines(text)
    around = (keys[:length] for length in range(len(keys), 0, -1))
    return next((lines[each] for each in around if each in lines), None)


@functools.lru_cache(maxsize=1)
def _lines(text: str) -> dict[Keys, int]:
    """The line of every table and value in a valid TOML text.

    Each setting and header is parsed by itself: right for every way of writing TOML (dotted keys, inline tables, lists
    over several lines), where a search for the key's text would not be.
    """
    lines: dict[Keys, int] = {}
    counts: dict[Keys, int] = {}  # of the tables in each list of tables so far
    section: Keys = ()
    for line, statement in _statements(text):
        table: Any = tomllib.loads(statement)
        if statement.startswith("["):
            section = ()
            while isinstance(table, dict) and table:
                (name, table), *_ = table.items()
                section += (name,)
                if isinstance(table, list):
                    counts[section] = counts.get(section, 0) + 1
                if section in counts:
                    section += (counts[section] - 1,)
                for length in range(1, min(len(section), DEEPEST) + 1):
                    lines.setdefault(section[:length], line)
        else:
            for keys, _ in walk(table, section):
                lines.setdefault(keys, line)
    return lines


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The settings and headers of a valid TOML text, each with the line on which it begins."""
    begin, line, now, depth = 0, 1, 1, 0
    for token in _TOKEN.finditer(f"{text}\n"):
        depth += (token[0] in "[{") - (token[0] in "]}")
        now += token[0].count("\n")
        if token[0] == "\n" and depth == 0:
            statement = text[begin : token.start()].strip()
            if statement and not statement.startswith("#"):
                yield line, statement
            begin, line = token.end(), now


def walk(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """All that is in a table or a list at ``keys``, in order, with its own keys; not below one that is too deep."""
    waiting = [(keys, value)]
    while waiting:
        keys, value = waiting.pop()
        yield keys, value
        if len(keys) <= DEEPEST:
            inner: Iterable[tuple[str | int, Any]] = ()
            if isinstance(value, Mapping):
                inner = value.items()
            elif isinstance(value, list | tuple):
                inner = enumerate(value)
            waiting += reversed([((*keys, key), item) for key, item in inner])


def place(path: str | Path, text: str, keys: Keys) -> str:
    """Where the value at ``keys`` stands: the file with this text, and the line."""
    line = line_of(text, keys)
    return f"{path}, line {line}" if line else str(path)


def dotted(keys: Keys) -> str:
    """``("model", "layers", 0, "units")`` as ``model.layers[0].units``."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")


def show(value: Any) -> str:
    """A value as TOML writes it, on one line.

    >>> show({"hidden": [64, 32], "activation": "relu", "bias": True})
    '{hidden = [64, 32], activation = "relu", bias = true}'
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):  # JSON's escapes are TOML's, but TOML wants DEL escaped too
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(name)} = {show(item)}" for name, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(show(item) for item in value) + "]"
    if isinstance(value, int) and value.bit_length() > 64:
        return f"{value:#x}"  # Python writes no decimal number of thousands of digits
    return repr(value) if isinstance(value, int | float) else str(value)


def described(value: Any) -> str:
    """A value, cut if it is long, and what TOML calls its type: ``3 (an integer)``."""
    names = {bool: "a boolean", int: "an integer", float: "a float", str: "text", list: "a list", dict: "a table"}
    return f"{cut(value)} ({names.get(type(value), type(value).__name__)})"


def cut(value: Any, most: int = 200) -> str:
    """A value as TOML writes it, or the beginning of it."""
    text = show(value)
    return text if len(text) <= most else f"{text[:most]}…"


def either(choices: Iterable[Any]) -> str:
    """``"a", "b" or "c"``: the choices as TOML writes them."""
    *most, last = map(show, choices)
    return f"{', '.join(most)} or {last}" if most else last


def _key(name: str) -> str:
    """A TOML key: bare where it may be, else quoted."""
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else show(name)


def write(table: Mapping[str, Any]) -> str:
    """TOML text of ``table``: one ``[section]`` per inner table, one ``[[section.key]]`` per table of a list."""
    return "\n".join(_section((), table)).strip() + "\n"


def _section(names: tuple[str, ...], table: Mapping[str, Any]) -> list[str]:
    """The lines of one table: first its plain keys (TOML has them before any header), then its tables."""
    lines: list[str] = []
    below: list[str] = []
    for name, value in table.items():
        inner = (*names, _key(name))
        if isinstance(value, Mapping):
            below += ["", f"[{'.'.join(inner)}]", *_section(inner, value)]
        elif isinstance(value, Sequence) and value and all(isinstance(item, Mapping) for item in value):
            for item in value:
                below += ["", f"[[{'.'.join(inner)}]]", *_section(inner, item)]
        else:
            lines.append(f"{_key(name)} = {show(value)}")
    return lines + below
