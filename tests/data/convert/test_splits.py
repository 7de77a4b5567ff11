"""Cutting at random: exact, fair, and the same for ever."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from distnn.data.convert import splits


@given(st.lists(st.integers(0, 4), min_size=3, max_size=200), st.data(), st.integers(0, 99))
def test_a_stratified_cut_is_exact_and_fair(labels: list[int], data: st.DataObject, seed: int) -> None:
    size, y = len(labels), np.array(labels)
    test = data.draw(st.integers(0, size - 2))
    validation = data.draw(st.integers(0, size - 1 - test))
    parts = splits.stratified(y, validation, test, seed)
    assert {name: len(part) for name, part in parts.items()} == {
        name: count
        for name, count in (("train", size - test - validation), ("validation", validation), ("test", test))
        if count
    }
    assert sorted(np.concatenate(list(parts.values()))) == list(range(size))
    for label in range(5):
        in_test = np.count_nonzero(y[parts.get("test", [])] == label)
        assert abs(in_test - test * labels.count(label) / size) < 1


def test_the_shuffle_stays_as_it_is() -> None:
    """Files made with one version of distnn and numpy can be made again with the next."""
    assert splits.shuffled(8, 0).tolist() == SHUFFLED
    assert splits.shuffled(8, 1).tolist() != SHUFFLED


SHUFFLED = [3, 2, 1, 6, 0, 7, 4, 5]
