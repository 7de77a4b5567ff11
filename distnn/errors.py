"""The exceptions of distnn: each says what was wrong, where, what was expected, and what to do."""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import sys
import traceback
from collections.abc import Iterable
from typing import Any, Self, TextIO

#: What the system answers where a disk is full, a quota or a limit is reached, or a disk or a server of files fails.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ESTALE)
#: Characters that steer a terminal or turn the order of letters, which names in files may hold; and their escapes.
_STEERING = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}
_STEERING |= {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}


class DistnnError(Exception):
    """A failure that distnn explains; the command line ends with its `exit_code`."""

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Other ranks aren't sent the cause, but end with the same exit code."""
        return type(self), self.args, {**vars(self), "exit_code": exit_code(self)}


class UsageError(DistnnError):
    """An error that the user can correct: a bad command, run file, data file, checkpoint or launch.

    Attributes:
        keys: the path of the setting that caused it, such as ``("model", "layers", 2)``, or empty; `located` in
            `distnn.config` puts the run file's line before the message.
    """

    exit_code = 2
    keys: tuple[str | int, ...] = ()

    def at(self, *keys: str | int) -> Self:
        """This error, attributed to the setting at ``keys`` unless it names one already."""
        self.keys = self.keys or keys
        return self


class RunFileError(UsageError):
    """A run file, site file or ``--set`` that can't be read, or that holds an unknown key or a bad value."""


class DataError(UsageError):
    """A data file that is missing, damaged, or doesn't hold what the run needs."""


class ShapeError(UsageError):
    """Arrays or layers whose shapes don't fit together."""


class CheckpointError(UsageError):
    """A checkpoint that is missing, damaged, or from another model."""


class LaunchError(UsageError):
    """A launch that doesn't work as intended: ranks that don't see each other, for example."""


class SharedMemoryError(DistnnError):
    """A node lacks the shared memory that its ranks need."""


def exit_code(error: DistnnError) -> int:
    """What the command line ends with: a full disk isn't bad usage, whatever was being written."""
    cause = error.__cause__
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in DISK:
            return DistnnError.exit_code
        cause = cause.__cause__
    return error.exit_code


def described(error: BaseException) -> str:
    """An unexpected error as text: its type, its message, and where it was raised.

    >>> described(KeyError("x"))
    "KeyError: 'x'"
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def complain(text: str) -> None:
    """Print an error or a warning on standard error.

    Where that can't be written, ranks still have to end together, and with the code of the error itself.
    """
    try:
        print(encoded(text, sys.stderr), file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):  # a full disk, no reader, closed, or None
        discard(sys.stderr)


def encoded(text: str, stream: TextIO) -> str:
    """The text, with escapes for the letters that the stream's encoding lacks, and for those that steer a terminal."""
    encoding = stream.encoding or "utf-8"
    return text.translate(_STEERING).encode(encoding, "backslashreplace").decode(encoding)


def discard(stream: TextIO) -> None:
    """Drop what standard output or error still holds, and all that follows: then no flush at exit can fail."""
    if stream not in (sys.stdout, sys.stderr):
        return  # somebody else's
    with contextlib.suppress(OSError, ValueError, AttributeError):  # it has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def nearest(word: str, valid: Iterable[str]) -> str:
    """``" (did you mean 'x'?)"`` for the valid word nearest to ``word``, or an empty text if none is near."""
    matches = difflib.get_close_matches(word, list(valid), n=1)
    return f" (did you mean '{matches[0]}'?)" if matches else ""
