"""Numbering the classes: the labels are 0, 1, …, and each has a name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from distnn.errors import DataError

#: The most classes; a larger integer can't be a label.
MOST_CLASSES = 100_000


def named_by_number(source: Path, *labels: np.ndarray) -> tuple[str, ...]:
    """The names "0", "1", … up to the largest label in all the arrays.

    Args:
        source: where the labels come from, for the message.
        labels: integer arrays.

    Raises:
        DataError: a negative label, or one so large that it can't be a class.
    """
    values = [int(value) for part in labels if part.size for value in (part.min(), part.max())]
    low, high = min(values, default=0), max(values, default=0)
    if low < 0 or high >= MOST_CLASSES:
        raise DataError(
            f"{source} holds the label {low if low < 0 else high}; expected the labels 0, 1, … of fewer than "
            f"{MOST_CLASSES} classes. For quantities to predict, choose the task 'regression'."
        )
    return tuple(str(label) for label in range(high + 1))


def numbered(names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels for names: the classes are the distinct names in order, by value where all are integers.

    >>> numbered(["dog", "cat", "dog"])
    (array([1, 0, 1]), ('cat', 'dog'))
    >>> numbered(["10", "9"])
    (array([1, 0]), ('9', '10'))
    """
    distinct = set(names)
    classes = tuple(sorted(distinct, key=int) if all(map(is_integer, distinct)) else sorted(distinct))
    index = {name: label for label, name in enumerate(classes)}
    return np.array([index[name] for name in names], dtype=np.int64), classes


def is_integer(text: str) -> bool:
    """Whether a text is a decimal integer.

    >>> is_integer("-12"), is_integer("1.0"), is_integer("1_000")
    (True, False, False)
    """
    return text.isascii() and text.removeprefix("-").removeprefix("+").isdigit()
