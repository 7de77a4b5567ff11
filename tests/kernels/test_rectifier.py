"""The rectifier: the same bits compiled as in numpy, whatever the numbers."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from distnn.ops.activation import LARGE, ReLU
from distnn.ops.linear import AffineActivation
from tests.support.kernels import both

SPECIAL = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-45, 1.0, -1.0]


def arrays(dtype: type) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, a bias and a gradient, with every pair of special numbers among them."""
    random = np.random.default_rng(0)
    y, dy = random.normal(size=(2, 37, len(SPECIAL))).astype(dtype)
    y[: len(SPECIAL)], dy[: len(SPECIAL)] = np.array(SPECIAL)[:, None], SPECIAL
    return y, random.permutation(np.array(SPECIAL, dtype)), dy


def run(kernels: ModuleType, dtype: type) -> list[np.ndarray]:
    y, bias, dy = arrays(dtype)
    rectified, shifted, dx, within = np.empty(y.size, dtype), y.copy(), np.empty(y.size, dtype), dy.flatten()
    kernels.rectify(y.reshape(-1), rectified)
    kernels.shift(shifted, bias)
    kernels.slope(dy.reshape(-1), rectified, dx)
    kernels.slope(within, rectified, within)
    return [rectified, shifted, dx, within]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_the_same_bits_compiled_as_in_numpy(dtype: type) -> None:
    expected, *others = [run(kernels, dtype) for kernels in both("rectifier")]
    for found in others:
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.tobytes() == theirs.tobytes()


def test_only_what_is_large_waits_for_numba() -> None:
    assert not ReLU().compiles((LARGE // 64 - 1, 64))
    assert ReLU().compiles((LARGE // 64, 64)) == AffineActivation(ReLU()).compiles((LARGE,)) == {"rectifier"}
