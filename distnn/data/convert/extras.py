"""Libraries that only some converters need, and that an extra of distnn installs."""

from __future__ import annotations

import importlib
from typing import Any

from distnn.errors import DataError


def needed(module: str, extra: str) -> Any:
    """The module, imported; DataError with the command that installs it where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise DataError(
            f"This needs {'Pillow' if library == 'PIL' else library}, which can't be imported here ({error}). Install "
            f"it with: pip install 'distnn[{extra}]'."
        ) from error
