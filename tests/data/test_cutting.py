"""Cutting one set of samples into splits: exact, fair, disjoint, and the same for ever."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit

from distnn.data.convert.splits import Shares, by_fraction
from distnn.data.cutting import Cut, shuffled, stratified
from distnn.errors import DataError


@given(st.lists(st.integers(0, 4), min_size=3, max_size=200), st.data(), st.integers(0, 99))
def test_a_stratified_cut_is_exact_and_fair(labels: list[int], data: st.DataObject, seed: int) -> None:
    size, y = len(labels), np.array(labels)
    test = data.draw(st.integers(0, size - 2))
    validation = data.draw(st.integers(0, size - 1 - test))
    parts = stratified(y, validation, test, seed)
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
    assert shuffled(8, 0).tolist() == [3, 2, 1, 6, 0, 7, 4, 5]
    assert shuffled(8, 1).tolist() != shuffled(8, 0).tolist()


def check(parts: dict[str, np.ndarray], samples: int) -> None:
    """Each sample is in one split, and the numbers rise."""
    np.testing.assert_array_equal(np.sort(np.concatenate([*parts.values()])), np.arange(samples))
    for part in parts.values():
        assert len(part) and (np.diff(part) > 0).all()


@given(st.integers(20, 300), st.sampled_from([0.0, 0.1, 0.25, 3]), st.sampled_from([0.2, 7]), st.integers(0, 9))
def test_fractions_and_numbers_are_met_exactly(samples: int, validation: float, test: float, seed: int) -> None:
    parts = Cut(validation, test, seed).at_random("d.h5", samples)
    check(parts, samples)
    for name, share in (("validation", validation), ("test", test)):
        assert len(parts.get(name, [])) == (share if isinstance(share, int) else round(share * samples))
    again = Cut(validation, test, seed + 1).at_random("d.h5", samples)
    assert any(parts[name].tolist() != again[name].tolist() for name in parts)


def test_a_cut_by_class_is_as_fair_as_scikit_learns_and_the_converters() -> None:
    labels = np.random.default_rng(0).choice(4, 500, p=[0.6, 0.3, 0.08, 0.02])
    parts = Cut(0.2, 0.1, 5).by_class("d.h5", labels, "abcd")
    check(parts, 500)
    for name, other in zip(
        ("train", "test"), next(StratifiedShuffleSplit(1, test_size=50).split(labels, labels)), strict=True
    ):
        mine = np.bincount(
            labels[parts["test"] if name == "test" else np.concatenate([parts["train"], parts["validation"]])]
        )
        assert abs(mine - np.bincount(labels[other])).max() <= 1
    made = by_fraction("d.csv", {"x": np.arange(500), "y": labels}, task="classification", how=Shares(0.2, 0.1, 5))
    assert {name: sorted(fields["x"]) for name, fields in made.items()} == {
        name: part.tolist() for name, part in parts.items()
    }


@given(st.lists(st.integers(1, 9), min_size=25, max_size=40), st.integers(0, 99), st.booleans())
def test_no_group_is_in_two_splits(lengths: list[int], seed: int, texts: bool) -> None:
    groups = np.repeat(np.arange(len(lengths)), lengths)
    np.random.default_rng(seed).shuffle(groups)
    ids = np.array([f"patient {each}".encode() for each in groups], object) if texts else groups
    samples = len(groups)
    parts = Cut(0.2, 12, seed, group="id").by_group("d.h5", ids, samples)
    check(parts, samples)
    of_split = [{*groups[part].tolist()} for part in parts.values()]
    assert sum(map(len, of_split)) == len(lengths)
    for name, wanted in (("validation", round(0.2 * samples)), ("test", 12)):
        assert abs(len(parts[name]) - wanted) <= 9


def test_files_by_the_patterns_of_their_names(capfd: pytest.CaptureFixture[str]) -> None:
    names, lengths = ["d/a1.h5", "d/a2.h5", "d/b.h5", "d/c.h5"], [3, 1, 2, 4]

    def cut(**files: list[str]) -> dict[str, list[int]]:
        return {name: part.tolist() for name, part in Cut(files=files).by_file("d/*.h5", names, lengths).items()}

    assert cut(train=["a*.h5"], validation=["d/b.h5"]) == {"train": [0, 1, 2, 3], "validation": [4, 5]}
    assert "no list in [data.split] names d/c.h5; left out" in capfd.readouterr().err
    assert cut(test=["a1.h5", "c.*"]) == {"train": [3, 4, 5], "test": [0, 1, 2, 6, 7, 8, 9]}
    assert not capfd.readouterr().err
    with pytest.raises(DataError, match=r"data.split.test names 'a3.h5', but none of the 4 .*\(did you mean 'a\d.h5"):
        cut(test=["a3.h5"])
    with pytest.raises(DataError, match=r"d/a2.h5 is for validation and for test \('\*2.h5'\); each file can be for"):
        cut(validation=["a*"], test=["*2.h5"])
    with pytest.raises(DataError, match="leaves no file to train on: all are for test"):
        cut(test=["*.h5"])


@pytest.mark.parametrize(
    ("cut", "samples", "message"),
    [
        (Cut(0.001), 100, r"d.h5: data.split.validation = 0.001 of 100 samples is none; ask for at least 0.01, or for"),
        (Cut(0.9, 0.1), 10, r"\[data.split\] with validation = 0.9 and test = 0.1 leaves none of the 10 samples to"),
        (Cut(test=10), 10, r"\[data.split\] with test = 10 leaves none of the 10 samples to train on"),
        (Cut(test=500), 10, r"\[data.split\] with test = 500 leaves none of the 10 samples to train on"),
    ],
)
def test_what_leaves_a_split_empty_is_refused(cut: Cut, samples: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        cut.at_random("d.h5", samples)


def test_a_class_with_too_few_samples() -> None:
    labels = np.array([0] * 50 + [2] * 2 + [1] * 48)
    with pytest.raises(DataError, match="the class 'cat' has 2 of the samples, which is too few for train and validat"):
        Cut(0.1, 0.1).by_class("d.h5", labels, ["ant", "bee", "cat"])
    assert len(Cut(0.1).by_class("d.h5", labels, ["ant", "bee", "cat"])["validation"]) == 10


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.arange(9), r"data.split.group = 'id' has the shape \(9,\); expected \(10,\): a group for each of the 10"),
        (np.zeros((10, 2), int), r"has the shape \(10, 2\); expected \(10,\)"),
        (np.linspace(0, 1, 10), "has the type float64; expected integers or texts, such as the number or the name"),
        (np.array([None] * 10, object), "has the type object; expected integers or texts"),
        (np.repeat([3, 4], 5), r"the samples are of 2 groups in all \(data.split.group = 'id'\), which is too few"),
        (
            np.array([1] * 5 + [2] * 4 + [3]),
            "too large, with up to 5 of the 10 samples, to make a split of about 2 samp",
        ),
    ],
)
def test_groups_that_can_not_be_shared_out(groups: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Cut(0.2, 0.1, group="id").by_group("d.h5", groups, 10)
