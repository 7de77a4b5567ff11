"""Texts in attributes, however the program that wrote them stores texts.

R and NetCDF write a text as an array of one; Fortran fills a text of fixed length up with blanks. They mean the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def text(value: Any) -> str | None:
    """A text without what only fills it up; None if it isn't one.

    Only a text of fixed length, which comes as bytes, is filled up; one that is nothing but blanks is meant.

    >>> text(np.array([b"regression    "])), text(b" "), text("a ")
    ('regression', ' ', 'a ')
    """
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, bytes):
        whole = value.decode(errors="replace").rstrip("\0")
        return whole.rstrip(" ") or whole
    return value if isinstance(value, str) else None


def texts(value: Any) -> tuple[str, ...] | None:
    """A list of texts, or of what stands for texts, such as numbers; None if it is no list.

    >>> texts(np.array([[b"cat "], [b"dog "]]))
    ('cat', 'dog')
    """
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return None
    items = value.reshape(-1) if isinstance(value, np.ndarray) else value
    return tuple(str(item) if (name := text(item)) is None else name for item in items)
