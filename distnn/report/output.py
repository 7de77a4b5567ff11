"""Text for a stream that may lack letters, be closed, or have no reader any more: none of that is an error."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from distnn.errors import DistnnError, discard, encoded


def show(text: str, stream: TextIO | None = None, *, end: str = "\n") -> bool:
    """Write ``text`` to ``stream``, or to standard output if None, and flush it.

    Letters that the stream's encoding lacks, and control characters, are written as escapes. Where the reader has gone
    (``| head``), this text and all that follows is dropped.

    Returns:
        Whether anybody reads on.

    Raises:
        DistnnError: if it can't be written for another reason, such as a full disk.
    """
    stream = stream or sys.stdout
    try:
        print(encoded(text, stream), end=end, file=stream, flush=True)
    except BrokenPipeError:
        discard(stream)
        return False
    except OSError as error:
        discard(stream)
        raise DistnnError(f"the output can't be written: {error.strerror}.") from None
    return True


def remark(path: Path, remarks: Iterable[str]) -> None:
    """Say on standard error how a data file is read, where that isn't as usual."""
    for text in remarks:
        show(f"{path}: {text}", sys.stderr)


def show_json(value: Any) -> None:
    """Write a value as JSON on standard output; NaN and the infinities, which JSON doesn't have, as null."""
    show(json.dumps(_finite(value), allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def open_closed_streams() -> None:
    """Open the standard streams that were closed (``>&-``) on /dev/null.

    Otherwise the next file that is opened gets the descriptor, and with it whatever a library prints.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8"))  # noqa: SIM115 (open until the process ends)
