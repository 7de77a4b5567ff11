"""The exceptions of distnn: each names the thing, what was expected, what was found and what to do."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from typing import Self


class DistnnError(Exception):
    """A failure that distnn explains in words; the command line ends with ``exit_code``."""

    exit_code = 1


class UsageError(DistnnError):
    """The user can mend it: a bad command, run file, data file, checkpoint or launch.

    Attributes:
        keys: the way to the setting that is to blame, such as ``("model", "layers", 2)``, if one is; `located` in
            `distnn.config` puts the run file's line before the message.
    """

    exit_code = 2
    keys: tuple[str | int, ...] = ()

    def at(self, *keys: str | int) -> Self:
        """This error, blamed on the setting at ``keys``, unless another is to blame already."""
        self.keys = self.keys or keys
        return self


class RunFileError(UsageError):
    """A run file, a site file, or a ``--set``, that can't be read or holds an unknown key or a bad value."""


class DataError(UsageError):
    """A data file that is missing, damaged, or doesn't hold what the run needs."""


class ShapeError(UsageError):
    """Arrays or layers whose shapes don't fit together."""


class CheckpointError(UsageError):
    """A checkpoint that is missing, damaged, or of another model."""


class LaunchError(UsageError):
    """A launch that isn't what it seems: ranks that don't see each other, for example."""


class SharedMemoryError(DistnnError):
    """Memory that the ranks of a node were to share, and that isn't to be had."""


def described(error: BaseException) -> str:
    """An error that nobody foresaw: its kind, its text, and where it was raised.

    >>> described(KeyError("x"))
    "KeyError: 'x'"
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def nearest(word: str, valid: Iterable[str]) -> str:
    """``" (did you mean 'x'?)"`` for the valid word nearest to ``word``, or nothing where none is near."""
    matches = difflib.get_close_matches(word, list(valid), n=1)
    return f" (did you mean '{matches[0]}'?)" if matches else ""
