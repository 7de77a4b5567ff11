"""Fixed-point sums: against fractions, in any order, and compiled as in numpy."""

from __future__ import annotations

from fractions import Fraction
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distnn.kernels import fixed_point as reference
from tests.support.kernels import both


@pytest.fixture(params=both("fixed_point"), ids=lambda module: module.__name__.rpartition("kernels.")[2])
def kernels(request: pytest.FixtureRequest) -> ModuleType:
    found: ModuleType = request.param
    return found


def numbers(dtype: type) -> st.SearchStrategy[np.ndarray]:
    """Finite numbers up to 1, many of them small."""
    width = 32 if dtype is np.float32 else 64
    floats = st.floats(-1, 1, width=width) | st.floats(-(2.0**-30), 2.0**-30, width=width)
    return st.integers(1, 5).flatmap(lambda rows: arrays(dtype, (rows, 37), elements=floats))


ENDS = np.array([[0, 16], [16, 16], [20, 37]])
SCALES = np.array([2.0**50, 1.0, 2.0**40])


def add_up(kernels: ModuleType, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sum of the rows, and their largest numbers."""
    total, largest = np.full(37, 7, np.int64), np.zeros(3, np.int64)
    for k, row in enumerate(rows):
        kernels.accumulate(total, row, ENDS, SCALES, largest, k == 0, reference.scratch())
    return total, largest


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
def test_against_fractions(dtype: type, data: st.DataObject) -> None:
    rows = data.draw(numbers(dtype))
    for kernels in both("fixed_point"):
        total, largest = add_up(kernels, rows)
        values, restored = np.full(37, 9, dtype), np.zeros(3)
        kernels.restore(values, total, ENDS, SCALES, restored, reference.scratch())
        for (start, stop), scale, most, back in zip(ENDS, SCALES, largest, restored, strict=True):
            unit = Fraction(1, int(scale))
            for i in range(start, stop):
                exact = sum((Fraction(float(row[i])) for row in rows), Fraction())
                assert abs(Fraction(int(total[i])) * unit - exact) <= unit * len(rows) / 2
                assert values[i] == dtype(float(Fraction(int(total[i])) * unit))
            found = [round(Fraction(float(value)) / unit) for value in rows[:, start:stop].flat]
            assert most == max((whole if whole >= 0 else ~whole for whole in found), default=0)
            rounded = float(np.spacing(dtype(back)))  # a unit less may be rounded to the number below
            assert back == pytest.approx(np.abs(values[start:stop]).max(initial=0), abs=1.01 * float(unit) + rounded)
        assert np.all(total[16:20] == 7), "between segments nothing is touched"
        assert np.all(values[16:20] == 9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
def test_no_order_of_addition_changes_a_bit(dtype: type, data: st.DataObject) -> None:
    rows = data.draw(numbers(dtype))
    order = data.draw(st.permutations(range(len(rows))))
    for kernels in both("fixed_point"):
        np.testing.assert_array_equal(add_up(kernels, rows)[0], add_up(kernels, rows[order])[0])
        np.testing.assert_array_equal(add_up(kernels, rows)[0], add_up(reference, rows)[0])


def test_large_vectors_in_blocks(kernels: ModuleType) -> None:
    rows = np.random.default_rng(0).normal(size=(3, 2 * reference.BLOCK + 13)).astype(np.float32)
    ends, scales = np.array([[0, 4000], [4000, rows.shape[1]]]), np.array([2.0**30, 2.0**40])
    total, largest = np.zeros(rows.shape[1], np.int64), np.zeros(2, np.int64)
    for k, row in enumerate(rows):
        kernels.accumulate(total, row, ends, scales, largest, k == 0, reference.scratch())
    values = np.empty(rows.shape[1])
    kernels.restore(values, total, ends, scales, np.zeros(2), reference.scratch())
    np.testing.assert_allclose(values[:4000], rows.sum(0, dtype=float)[:4000], atol=2.0**-29)
    np.testing.assert_allclose(values[4000:], rows.sum(0, dtype=float)[4000:], atol=2.0**-39)


@pytest.mark.parametrize(
    "value", [np.nan, np.inf, -np.inf, 3e38, -3e38, 2.0**11, -(2.0**11) * 1.001, 2.0**12, -(2.0**14)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_too_large_or_no_number_shows(kernels: ModuleType, dtype: type, value: float) -> None:
    row = np.ones(37, dtype)
    row[30] = value
    total, largest = np.zeros(37, np.int64), np.zeros(3, np.int64)
    kernels.accumulate(total, row, ENDS, SCALES, largest, True, reference.scratch())
    kernels.accumulate(total, np.ones(37, dtype), ENDS, SCALES, largest, False, reference.scratch())
    assert largest[0] == 2**50
    assert largest[2] >= 2**reference.BITS


def test_a_sum_that_the_precision_has_not_is_infinite(kernels: ModuleType) -> None:
    total, values, largest = np.full(37, 2**60, np.int64), np.empty(37, np.float32), np.empty(3)
    scales = np.array([2.0**-100, 1.0, 1.0])
    kernels.restore(values, total, ENDS, scales, largest, reference.scratch())
    assert np.all(np.isinf(values[:16]))
    np.testing.assert_array_equal(largest, [np.inf, 0, 2.0**60])
