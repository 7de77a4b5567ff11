"""Transforms do what scikit-learn's do, are fitted to the same bits in any parts, and can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from distnn.data.partition import Range, part
from distnn.data.transforms import (
    Clip,
    Fill,
    Logarithm,
    MinMax,
    OneHot,
    RefusedError,
    Scale,
    ShiftLabels,
    Standardize,
    Transform,
)
from distnn.data.transforms.chain import Chain
from distnn.data.transforms.exploration import pieces
from distnn.data.transforms.fit import explore, merged
from distnn.errors import CheckpointError, DataError, UsageError


def fitted(field: str, transforms: Sequence[Transform], values: Any, ranks: int = 1, length: int = 7) -> Chain:
    """The chain, fitted to values (N, …) in the parts that so many ranks would have."""
    chain = Chain(field, transforms, values.shape[1:])
    while chain.exploration:
        ranges = pieces([chain.exploration], len(values))
        mine = [ranges[slice(*part(len(ranges), ranks, rank))] for rank in range(ranks)]
        parts = [[explore([chain], piece, length, reader(field, values), "") for piece in own] for own in mine]
        chain.fit(*merged([chain], [result for own in parts for result in own]))
    return chain


def reader(field: str, values: Any) -> Any:
    """Gives rows of the values."""

    def read(block: Range) -> dict[str, Any]:
        return {field: values[slice(*block)]}

    return read


def applied(chain: Chain, values: Any, dtype: Any = np.float64) -> Any:
    """What the chain makes of them."""
    out = np.empty((len(values), *chain.shape), dtype)
    chain.apply(values, out)
    return out


def table(seed: int = 0, samples: int = 50) -> Any:
    """Features of very different scales and offsets, one of which doesn't vary."""
    random = np.random.default_rng(seed)
    return random.normal(size=(samples, 5)) * [1, 1e-6, 1e6, 3, 0] + [0, 1, -1e9, 1e4, 0.1]


def test_standardize_and_min_max_are_scikit_learns() -> None:
    x = table()
    for mine, other in ((Standardize(), StandardScaler()), (MinMax(-1, 2), MinMaxScaler((-1, 2)))):
        chain = fitted("x", [mine], x)
        np.testing.assert_allclose(applied(chain, x), other.fit_transform(x), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(chain.inverted(applied(chain, x)), x, rtol=1e-9)


def test_missing_numbers_are_left_out_of_the_statistics() -> None:
    x = table(samples=200)
    x[np.random.default_rng(1).random(x.shape) < 0.3] = np.nan
    for mine, other in ((Standardize(), StandardScaler()), (MinMax(), MinMaxScaler())):
        np.testing.assert_allclose(applied(fitted("x", [mine], x), x), other.fit_transform(x), rtol=1e-6, atol=1e-6)


def test_each_axis_has_its_statistics() -> None:
    x = np.random.default_rng(0).normal(3, 2, (30, 4, 5, 3)) * [1, 10, 100]
    by_channel = applied(fitted("x", [Standardize("channel")], x), x)
    np.testing.assert_allclose(by_channel.reshape(-1, 3), StandardScaler().fit_transform(x.reshape(-1, 3)), atol=1e-9)
    alike = applied(fitted("x", [Standardize("all")], x), x)
    np.testing.assert_allclose(alike, (x - x.mean()) / x.std(), atol=1e-9)
    by_pixel = applied(fitted("x", [Standardize()], x), x)
    np.testing.assert_allclose(by_pixel.std(0), 1, atol=1e-9)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 600), st.integers(3, 40), st.integers(0, 5))
def test_statistics_have_the_same_bits_on_any_number_of_ranks(samples: int, length: int, seed: int) -> None:
    x = table(seed, samples)
    chains = [fitted("x", [Standardize(), MinMax(axis="all")], x, ranks, length) for ranks in (1, 2, 3, 5)]
    first, *others = [b"".join(array.tobytes() for array in chain.state.values()) for chain in chains]
    assert all(other == first for other in others)


def test_filling_is_scikit_learns_with_and_without_indicators() -> None:
    x = table(samples=80)[:, :4]
    x[np.random.default_rng(1).random(x.shape) < 0.2] = np.nan
    x[:, 2] = 5
    for indicator in (False, True):
        other = SimpleImputer(add_indicator=indicator).fit_transform(x)
        np.testing.assert_allclose(applied(fitted("x", [Fill(indicator=indicator)], x), x), other, rtol=1e-12)
    np.testing.assert_array_equal(applied(fitted("x", [Fill(0.5)], x), x), np.nan_to_num(x, nan=0.5))


@pytest.mark.parametrize("features", [1, 3])
def test_where_all_features_have_missing_numbers_all_have_indicators(features: int) -> None:
    x = table(samples=80)[:, :features]
    for feature in range(features):
        x[5 * feature : 12 * feature + 3, feature] = np.nan  # of each another number
    other = SimpleImputer(add_indicator=True).fit_transform(x)
    np.testing.assert_allclose(applied(fitted("x", [Fill(indicator=True)], x), x), other, rtol=1e-12)


def test_a_number_may_stand_for_a_missing_one() -> None:
    x = np.array([[1.0], [-999], [3], [np.nan]])
    np.testing.assert_array_equal(applied(fitted("x", [Fill(missing=-999)], x), x), [[1], [2], [3], [2]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("number", [-99.9, 1e20])
def test_a_number_for_missing_ones_that_is_rounded_as_it_is_stored(number: float, dtype: type) -> None:
    x = np.array([[1.0], [number], [3]], dtype)
    np.testing.assert_array_equal(applied(fitted("x", [Fill(missing=number)], x), x), [[1], [2], [3]])


def test_one_hot_is_scikit_learns() -> None:
    x = np.random.default_rng(0).choice([2, 5, 40], (60, 4)).astype(np.int16)
    chain = fitted("x", [OneHot([3, 1])], x)
    encoded = OneHotEncoder(sparse_output=False).fit_transform(x[:, [3, 1]])
    np.testing.assert_array_equal(applied(chain, x), np.column_stack([x[:, [0, 2]], encoded]))
    with pytest.raises(RefusedError, match="category that no training sample has"):
        applied(chain, np.array([[2, 7, 2, 2]]))
    zeros = fitted("x", [OneHot([3, 1], unknown="zeros")], x)
    np.testing.assert_array_equal(applied(zeros, np.array([[2, 7, 5, 2]])), [[2, 5, 1, 0, 0, 0, 0, 0]])


@pytest.mark.parametrize("labels", [range(1, 11), (-1, 1), (-(10**12), 7, 10**12)], ids=str)
def test_labels_become_their_places(labels: Sequence[int]) -> None:
    y = np.random.default_rng(0).permutation(np.repeat(labels, 9))
    chain = fitted("y", [ShiftLabels()], y)
    np.testing.assert_array_equal(applied(chain, y, np.int64), np.unique(y, return_inverse=True)[1])
    with pytest.raises(RefusedError, match="label 3"):
        applied(fitted("y", [ShiftLabels([1, 2])], y[:0]), np.array([1, 3]))


def test_a_transform_is_fitted_to_what_those_before_it_make() -> None:
    x = np.exp(table()[:, :1] * [[1, 2]])
    x[3, 0] = np.nan
    chain = fitted("x", [Logarithm(), Standardize(), Fill(0.0)], x)
    expected = np.nan_to_num(StandardScaler().fit_transform(np.log(x)))
    np.testing.assert_allclose(applied(chain, x), expected, atol=1e-9)


@pytest.mark.parametrize(
    "transforms",
    [[Logarithm()], [Logarithm(1)], [Logarithm(2.5)], [Scale(0.1)], [Standardize()], [MinMax(-2, 5), Scale(3)]],
    ids=str,
)
def test_what_is_done_to_targets_can_be_undone(transforms: list[Transform]) -> None:
    y = np.random.default_rng(0).uniform(0.1, 1e5, (40, 2))
    chain = fitted("y", transforms, y)
    np.testing.assert_allclose(chain.inverted(applied(chain, y)), y, rtol=1e-9)


def test_numbers_without_a_logarithm_are_refused_with_their_place() -> None:
    x = np.ones((500, 200))
    x[321, 7] = -4
    with pytest.raises(RefusedError, match="is -4, but log takes numbers above 0") as caught:
        applied(Chain("x", [Logarithm()], (200,)), x)
    assert caught.value.at == (321, 7)
    with pytest.raises(DataError, match=r"train/x\[321, 7\] is -4"):
        explore([Chain("x", [Logarithm(), Standardize()], (200,))], Range(300, 500), 3, reader("x", x), "train/")


def test_stored_numbers_are_transformed_before_they_are_rounded() -> None:
    times = 1_700_000_000 + np.arange(50).reshape(-1, 1)
    assert len(np.unique(times.astype(np.float32))) < 5
    assert len(np.unique(applied(fitted("x", [Standardize()], times), times, np.float32))) == 50


def test_clip() -> None:
    x = np.array([[-5.0, 0.5, np.nan, 7]])
    np.testing.assert_array_equal(applied(Chain("x", [Clip(0, 1)], (4,)), x), [[0, 0.5, np.nan, 1]])
    np.testing.assert_array_equal(applied(Chain("x", [Clip(high=1)], (4,)), x), [[-5, 0.5, np.nan, 1]])


def test_what_was_fitted_is_taken_over() -> None:
    x = table()
    transforms = [Standardize(), OneHot([4]), MinMax()]
    before, after = fitted("x", transforms, x), Chain("x", transforms, (5,))
    after.load(before.state, "c.h5")
    assert after.shape == before.shape and after.exploration is None
    np.testing.assert_array_equal(applied(after, x), applied(before, x))
    with pytest.raises(CheckpointError, match=r"no x.0.min_max.least"):
        Chain("x", [MinMax()], (5,)).load(before.state, "c.h5")
    with pytest.raises(CheckpointError, match="doesn't fit samples of the shape"):
        Chain("x", transforms, (6,)).load(before.state, "c.h5")


def test_what_does_not_vary_is_named() -> None:
    assert fitted("x", [Standardize()], table()).remarks == [
        "transforms.x: standardize: 1 of 5 features (4) are the same in all training samples, and become 0."
    ]


def test_nothing_is_allocated_that_grows_with_the_samples() -> None:
    import tracemalloc

    x, out = np.ones((32768, 64), np.uint8), np.empty((32768, 64), np.float32)
    chain = fitted("x", [Scale(0.1), Standardize(), Clip(-1, 1)], x)
    chain.apply(x, out)
    tracemalloc.start()
    chain.apply(x, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 8


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MinMax(1, 1), "must be below high"),
        (Clip, "at least one of the two"),
        (lambda: Clip(2, 1), "must be below high"),
        (lambda: Scale(0), "expected a finite number above 0"),
        (lambda: ShiftLabels([2, 1]), "ascending order"),
        (lambda: Chain("y", [OneHot([0])], ()), "only for x, not for y"),
        (lambda: Chain("x", [OneHot([5])], (5,)), "names column 5"),
        (lambda: Chain("x", [OneHot([0])], (5, 2)), "samples are rows"),
        (lambda: Chain("x", [Fill(indicator=True)], (5, 2)), "is for tables"),
        (lambda: fitted("x", [OneHot([0])], np.array([[0.5], [1]])), "other numbers than integers"),
        (lambda: fitted("x", [OneHot([0])], np.arange(2000).reshape(-1, 1)), "more than 1000"),
        (lambda: fitted("x", [Fill()], np.full((3, 1), np.nan)), "feature 0 is missing in all"),
        (lambda: fitted("y", [ShiftLabels()], np.array([0.5, 1])), "0.5 is among the labels"),
        (lambda: Chain("y", [Fill(0.0)], ()), "only for x"),
    ],
)
def test_what_can_not_be_is_refused(make: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()
