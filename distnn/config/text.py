"""The text of a run or site file: reading TOML, ``--set`` overrides, finding the line of a key, and writing TOML.

Knows nothing of what the keys mean (that is `distnn.config`), so it serves any table of settings.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distnn.errors import RunFileError

#: The way to a value: names of tables and keys, and positions in lists.
Keys = tuple[str | int, ...]


def load(path: str | Path, what: str = "run file") -> tuple[dict[str, Any], str]:
    """Read a TOML file: its table, and its text; ``what`` it is called in an error.

    Raises:
        RunFileError: it is missing, a directory, not readable, not UTF-8, or not TOML (with the line).
    """
    path = Path(path)
    if path.is_dir():
        raise RunFileError(
            f"{path} is a directory; expected a {what} (TOML). Name the file, such as {path}/"
            f"{what.removesuffix(' file')}.toml."
        )
    try:
        text = path.read_bytes().decode("utf-8")
        return tomllib.loads(text), text
    except FileNotFoundError:
        raise RunFileError(
            f"the {what} {path} does not exist{_similar(path, what)}. Check the path; paths are taken "
            f"from the current directory, {Path.cwd()}."
        ) from None
    except OSError as error:
        raise RunFileError(f"the {what} {path} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise RunFileError(
            f"{path} is not a text file in UTF-8 (byte {error.start} is not); expected a {what} (TOML)."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise RunFileError(
            f'{path} is not valid TOML: {error}. Text goes in quotation marks, as in kind = "mlp"; '
            "true and false are written small; a key or section may be given once only."
        ) from None


def _similar(path: Path, what: str) -> str:
    """The files that stand where ``path`` was looked for."""
    found = sorted(other.name for other in path.parent.glob("*.toml")) if path.parent.is_dir() else []
    return f" ({what}s there: {', '.join(found[:5])}{', …' if len(found) > 5 else ''})" if found else ""


def parse_override(text: str) -> tuple[Keys, Any]:
    """Take ``section.key=value`` apart; the value is read as TOML, and a bare word as text.

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
    keys = tuple(int(part) if part.isdecimal() else part for part in names)
    try:
        return keys, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError as error:
        if value[0] in "\"'[{":
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
    """The line (from 1) on which the value at ``keys`` begins, or the nearest table around it; None if neither.

    Parses growing beginnings of the text until one holds the key: right for every way of writing TOML (dotted keys,
    inline tables, lists over several lines), where a search for the key's text would not be.
    """
    lines = text.splitlines()
    while keys:
        whole = 0  # how many lines the last parsable beginning had: the value starts on the line after
        for count in range(1, len(lines) + 1):
            try:
                table = tomllib.loads("\n".join(lines[:count]))
            except tomllib.TOMLDecodeError:
                continue
            if _holds(table, keys):
                return whole + 1
            whole = count
        keys = keys[:-1]
    return None


def place(path: str | Path, text: str, keys: Keys) -> str:
    """Where the value at ``keys`` stands: the file with this text, and the line."""
    line = line_of(text, keys)
    return f"{path}, line {line}" if line else str(path)


def _holds(table: Any, keys: Keys) -> bool:
    """Whether there is a value at ``keys``."""
    try:
        for key in keys:
            table = table[key]
    except (KeyError, IndexError, TypeError):
        return False
    return True


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
    return repr(value) if isinstance(value, int | float) else str(value)


def described(value: Any) -> str:
    """A value, and what TOML calls its type: ``3 (an integer)``."""
    names = {bool: "a boolean", int: "an integer", float: "a float", str: "text", list: "a list", dict: "a table"}
    return f"{show(value)} ({names.get(type(value), type(value).__name__)})"


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
