"""New files for people to change, which replace none."""

from __future__ import annotations

from pathlib import Path

from distnn.errors import DistnnError, UsageError


def write_new(path: Path, text: str, option: str) -> None:
    """Write a new file, which ``option`` of the command line has named.

    Raises:
        UsageError: if there is something of that name.
        DistnnError: if it can't be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already; name a new file with {option}, or remove it.") from None
    except OSError as error:
        raise DistnnError(f"{path} can't be written: {error.strerror}; name another place with {option}.") from None
