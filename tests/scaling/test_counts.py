"""Lists of numbers with dots."""

from __future__ import annotations

import pytest

from distnn.errors import UsageError
from distnn.scaling.counts import counts


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1", [1]),
        ("1,2,4,…,1024", [2**k for k in range(11)]),
        ("1, 2, 4, ..., 16", [1, 2, 4, 8, 16]),
        ("3,9,27,…,243", [3, 9, 27, 81, 243]),
        ("1,2,3,…,6", [1, 2, 3, 4, 5, 6]),
        ("4,8,…,16", [4, 8, 12, 16]),
        ("1,2,3,…,6,12,24,…,96", [1, 2, 3, 4, 5, 6, 12, 24, 48, 96]),
        ("2,5,7", [2, 5, 7]),
    ],
)
def test_numbers(text: str, numbers: list[int]) -> None:
    assert counts(text) == numbers


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,x", "'x' is not a whole number from 1"),
        ("0,1", "'0' is not a whole number from 1"),
        ("", "'' is not a whole number from 1"),
        ("2,2", "2 follows 2, but the numbers have to increase"),
        ("4,2", "2 follows 4, but the numbers have to increase"),
        ("1,…,8", "dots stand between two or three numbers and the last one"),
        ("1,2,…,…,8", "dots stand between two or three numbers and the last one"),
        ("1,2,4,…", "nothing follows the dots"),
        ("1,2,4,…,1000", "the dots don't lead to 1000, but to 512 or 1024"),
        ("1,2,5,…,100", "1, 2, 5 continue neither in equal steps nor in a whole ratio"),
        ("1,2,…,100000", "these are more than 10,000 numbers"),
    ],
)
def test_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        counts(text)
    assert str(error.value).startswith(f"'{text}': {words}; write numbers of nodes such as 1,2,4,…,1024")
