"""Classes or quantities: what targets are, the labels 0, 1, … of classes, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from distnn.errors import DataError

#: The most classes; a larger integer can't be a label.
MOST_CLASSES = 100_000
#: With more distinct integers than this, targets may be quantities, and the user has to say which they are.
GUESSED_CLASSES = 1_000
#: With at most this many distinct whole numbers written as floats (1.0, 2.0), targets may be either, too.
FEW_FLOATS = 20


def infer_task(place: str, distinct: Sequence[str], samples: int) -> str:
    """The task that targets suggest: texts and integers are classes, other numbers are quantities.

    Integers of which most occur once are quantities, too: a class of one sample can't be learnt.

    Args:
        place: whose targets they are, for the message.
        distinct: the distinct targets, as texts.
        samples: how many there are of them in all.

    Raises:
        DataError: they may be either: many distinct integers, or few whole numbers that are written as floats.
    """
    usual = min(GUESSED_CLASSES, max(2, samples // 2))
    numbers = all(map(is_number, distinct))
    if all(map(is_integer, distinct)):
        if len(distinct) <= usual:
            return "classification"
        if len(distinct) > max(FEW_FLOATS, samples // 2):
            return "regression"
        kind = "different integers"
    elif numbers and len(distinct) <= min(FEW_FLOATS, usual) and all(float(text).is_integer() for text in distinct):
        kind = f"different whole numbers written as floats, such as {distinct[0]},"
    else:
        return "regression" if numbers else "classification"
    raise DataError(
        f"{place} holds {len(distinct)} {kind} in {samples} samples, which may be classes or quantities; say which "
        "with --task classification or --task regression."
    )


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
    """Labels for names: the classes are the distinct names in order, by value where all are numbers.

    >>> numbered(["dog", "cat", "dog"])
    (array([1, 0, 1]), ('cat', 'dog'))
    >>> numbered(["10", "9"])
    (array([1, 0]), ('9', '10'))
    """
    distinct = set(names)
    classes = tuple(sorted(sorted(distinct), key=float) if all(map(is_number, distinct)) else sorted(distinct))
    index = {name: label for label, name in enumerate(classes)}
    return np.array([index[name] for name in names], dtype=np.int64), classes


def is_integer(text: str) -> bool:
    """Whether a text is a decimal integer.

    >>> is_integer("-12"), is_integer("1.0"), is_integer("1_000")
    (True, False, False)
    """
    return text.isascii() and text.removeprefix("-").removeprefix("+").isdigit()


def is_number(text: str) -> bool:
    """Whether a text is a number, finite or not.

    >>> is_number("1e3"), is_number("inf"), is_number("1_000"), is_number("ten")
    (True, True, False, False)
    """
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text  # Python's 1_000; a table that holds it means something else


def listed(names: Sequence[str]) -> str:
    """Names for a line of the terminal: all, or the first ten and the last.

    >>> listed(["a", "b"]), listed([str(number) for number in range(20)])
    ('a, b', '0, 1, 2, 3, 4, 5, 6, 7, 8, …, 19')
    """
    names = [" ".join(name.split())[:40] for name in names]
    return ", ".join(names if len(names) <= 10 else [*names[:9], "…", names[-1]])
