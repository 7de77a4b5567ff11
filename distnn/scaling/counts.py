"""Numbers of nodes as one writes them: ``1,2,4,…,1024``."""

from __future__ import annotations

from distnn.errors import UsageError

#: What stands for "go on like this".
DOTS = ("…", "...")
#: More counts than these are a slip of the pen.
MOST = 10_000


def counts(text: str) -> list[int]:
    """The numbers of a list with commas, in which dots go on in the ratio of the three before, or in their steps.

    Two numbers before the dots go on in steps.

    >>> counts("1,2,4,…,64"), counts("2,4,...,10"), counts("1,8,32")
    ([1, 2, 4, 8, 16, 32, 64], [2, 4, 6, 8, 10], [1, 8, 32])

    Raises:
        UsageError: for anything else than numbers from 1 that increase, and dots that lead from some to another.
    """
    found: list[int] = []
    going_on = False
    for word in (part.strip() for part in text.replace("...", "…").split(",")):
        if word in DOTS:
            if going_on or len(found) < 2:
                raise _refused(text, "dots stand between two or three numbers and the last one")
            going_on = True
            continue
        if not (word.isascii() and word.isdigit() and int(word) > 0):
            raise _refused(text, f"'{word}' is no number from 1")
        number = int(word)
        if found and number <= found[-1]:
            raise _refused(text, f"{number} follows {found[-1]}, but the numbers have to increase")
        found += _between(text, found, number) if going_on else [number]
        going_on = False
    if going_on:
        raise _refused(text, "nothing follows the dots")
    return found


def _between(text: str, before: list[int], last: int) -> list[int]:
    """What the dots stand for, with the last number."""
    *_, a, b = before
    steps = len(before) == 2 or b - a == a - before[-3]
    if not steps and (a * a != b * before[-3] or b % a):
        raise _refused(text, f"{before[-3]}, {a}, {b} go on neither in equal steps nor in a whole ratio")
    found: list[int] = []
    while b < last:
        a, b = b, 2 * b - a if steps else b * (b // a)
        found.append(b)
        if len(found) > MOST:
            raise _refused(text, f"these are more than {MOST:,} numbers")
    if b != last:
        raise _refused(text, f"the dots don't lead to {last}, but to {([*before, *found])[-2]} or {b}")
    return found


def _refused(text: str, why: str) -> UsageError:
    return UsageError(f"'{text}': {why}; write numbers of nodes such as 1,2,4,…,1024 (or ...), 2,4,…,10, or 1,8,32.")
