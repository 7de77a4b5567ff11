"""Lists of numbers of nodes, as users write them: ``1,2,4,…,1024``."""

from __future__ import annotations

from distnn.errors import UsageError

#: What stands for "continue like this".
DOTS = ("…", "...")
#: A longer list is taken for a mistake.
MOST = 10_000


def counts(text: str) -> list[int]:
    """The numbers of a comma-separated list, in which dots stand for numbers left out.

    Two numbers before the dots continue in equal steps; three continue in equal steps or in a constant ratio.

    >>> counts("1,2,4,…,64"), counts("2,4,...,10"), counts("1,8,32")
    ([1, 2, 4, 8, 16, 32, 64], [2, 4, 6, 8, 10], [1, 8, 32])

    Raises:
        UsageError: for anything but increasing numbers from 1, and for dots that don't lead to the number after them.
    """
    numbers: list[int] = []
    dots = False
    for word in (part.strip() for part in text.replace("...", "…").split(",")):
        if word in DOTS:
            if dots or len(numbers) < 2:
                raise _refused(text, "dots stand between two or three numbers and the last one")
            dots = True
            continue
        if not (word.isascii() and word.isdigit() and int(word) > 0):
            raise _refused(text, f"'{word}' is not a whole number from 1")
        number = int(word)
        if numbers and number <= numbers[-1]:
            raise _refused(text, f"{number} follows {numbers[-1]}, but the numbers have to increase")
        numbers += _between(text, numbers, number) if dots else [number]
        dots = False
    if dots:
        raise _refused(text, "nothing follows the dots")
    return numbers


def _between(text: str, before: list[int], last: int) -> list[int]:
    """The numbers that the dots stand for, and the last number."""
    *_, a, b = before
    steps = len(before) == 2 or b - a == a - before[-3]
    if not steps and (a * a != b * before[-3] or b % a):
        raise _refused(text, f"{before[-3]}, {a}, {b} continue neither in equal steps nor in a whole ratio")
    between: list[int] = []
    while b < last:
        a, b = b, 2 * b - a if steps else b * (b // a)
        between.append(b)
        if len(between) > MOST:
            raise _refused(text, f"these are more than {MOST:,} numbers")
    if b != last:
        raise _refused(text, f"the dots don't lead to {last}, but to {([*before, *between])[-2]} or {b}")
    return between


def _refused(text: str, why: str) -> UsageError:
    return UsageError(f"'{text}': {why}; write numbers of nodes such as 1,2,4,…,1024 (or ...), 2,4,…,10, or 1,8,32.")
