"""The run file: read, checked, and every mistake in it explained at once.

settings = read("data/digits.toml", ["train.epochs=3"])
settings.data.batch_size, settings.optimizer.learning_rate
Path("again.toml").write_text(to_toml(settings))
assert read("again.toml") == settings
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from distnn.config import text as run_file
from distnn.config.explain import validated
from distnn.config.kinds import recorded
from distnn.config.sections import CheckpointSettings, DataSettings, RunSettings, TrainSettings
from distnn.config.text import Keys, dotted
from distnn.errors import RunFileError, UsageError
from distnn.paths import unreachable

__all__ = [
    "CheckpointSettings",
    "DataSettings",
    "RunSettings",
    "TrainSettings",
    "from_dict",
    "located",
    "read",
    "recorded",
    "to_dict",
    "to_toml",
]


def read(path: str | Path, overrides: Sequence[str] = ()) -> RunSettings:
    """Read a run file, with ``section.key=value`` overrides put over it.

    Raises:
        RunFileError: naming every mistake in file and overrides, each with its line, and what would be right.
    """
    table, text = run_file.load(path)
    mistakes: list[str] = []
    overridden: dict[Keys, str] = {}
    for override in overrides:
        try:
            keys, value = run_file.parse_override(override)
        except RunFileError as error:
            mistakes.append(str(error))
            continue
        barrier = run_file.apply_override(table, keys, value)
        if barrier is None:
            overridden[keys] = f"--set {override}"
        else:
            mistakes.append(f"--set {override}: {dotted(barrier)} has no place for a key {keys[len(barrier)]}.")

    whole = f"the settings of {path}"
    settings = validated(RunSettings, table, lambda keys: _place(path, text, overridden, keys), whole, mistakes)
    if why := unreachable(settings.data.path):
        where = _place(path, text, overridden, ("data", "path"))
        raise RunFileError(f"{where}: data.path is {run_file.cut(settings.data.path)}: {why}.")
    return settings


@contextlib.contextmanager
def located(path: str | Path, overrides: Sequence[str] = ()) -> Iterator[None]:
    """Put the run file's name and line before the message of what is refused in this block, if a setting is to blame.

    For what can be known only once the data are, such as a layer that doesn't fit its input. The arguments are those of
    `read`, which has found nothing wrong with them.
    """
    try:
        yield
    except UsageError as error:
        if not error.keys:
            raise
        overridden = {run_file.parse_override(override)[0]: f"--set {override}" for override in overrides}
        place = _place(path, run_file.load(path)[1], overridden, error.keys)
        raise type(error)(f"{place}: {error}") from None


def _place(path: str | Path, text: str, overridden: dict[Keys, str], keys: Keys) -> str:
    """Where the setting at ``keys`` was given: a line of the run file with this text, or an override."""
    for given in reversed(overridden):
        if [*map(str, keys[: len(given)])] == [*map(str, given)]:  # 0 may be a position or a key
            return overridden[given]
    return run_file.place(path, text, keys)


def from_dict(table: Mapping[str, Any], where: str = "the settings") -> RunSettings:
    """Settings from nested dictionaries, such as `to_dict` gives; ``where`` names them in an error.

    Raises:
        RunFileError: naming every mistake, and what would be right.
    """
    return validated(RunSettings, table, lambda keys: where, f"the settings of {where}")


def to_dict(settings: RunSettings) -> dict[str, Any]:
    """Settings as nested dictionaries of plain values (JSON and TOML can hold them), defaults written out.

    Left out is what has no value, or no meaning beside the others. ``from_dict`` of it gives equal settings.
    """
    table = settings.table(list)
    if settings.checkpoint.every_epochs is None:
        table["checkpoint"]["every_epochs"] = 0
    return table


def to_toml(settings: RunSettings) -> str:
    """The resolved run file: `read` of it gives equal settings."""
    return run_file.write(to_dict(settings))
