"""The rectifier: the same bits compiled as in the op's numpy, whatever the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from distnn.kernels.loading import compiled_kernels
from distnn.ops.activation import LARGE, ReLU
from distnn.ops.linear import Affine

SPECIAL = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-45, 1.0, -1.0]


def arrays(dtype: type) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, a bias and a gradient, with every pair of special numbers among them."""
    random = np.random.default_rng(0)
    y, dy = random.normal(size=(2, 37, len(SPECIAL))).astype(dtype)
    y[: len(SPECIAL)], dy[: len(SPECIAL)] = np.array(SPECIAL)[:, None], SPECIAL
    return y, random.permutation(np.array(SPECIAL, dtype)), dy


class InNumpy:
    """The compiled functions by the op's own rules."""

    @staticmethod
    def rectify(x: np.ndarray, y: np.ndarray) -> None:
        ReLU().apply(y, x)

    @staticmethod
    def shift(y: np.ndarray, bias: np.ndarray) -> None:
        ReLU().apply(y, np.add(y, bias, out=y))

    @staticmethod
    def slope(dy: np.ndarray, y: np.ndarray, dx: np.ndarray) -> None:
        ReLU().backward(dx, dy, y, np.empty(y.shape, np.bool_))


def run(kernels: Any, dtype: type) -> list[np.ndarray]:
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
    compiled = compiled_kernels("rectifier")
    if compiled is None:
        pytest.skip("numba isn't installed")
    for ours, theirs in zip(run(compiled, dtype), run(InNumpy, dtype), strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_only_what_is_large_waits_for_numba() -> None:
    assert not ReLU().compiles((LARGE // 64 - 1, 64))
    assert ReLU().compiles((LARGE // 64, 64)) == Affine().followed_by(ReLU()).compiles((LARGE,)) == {"rectifier"}
