"""Max pooling, compiled: what numpy gives, NaN and ties and edges included."""

from __future__ import annotations

import numpy as np
import pytest

from distnn.kernels.loading import compiled_kernels
from distnn.ops import pooling
from distnn.ops.pooling import MaxPool2D

pytestmark = pytest.mark.skipif(compiled_kernels("pooling") is None, reason="numba isn't installed")


def run(x: np.ndarray, dy: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """y and dx."""
    op, y, dx = MaxPool2D(2, stride), np.full_like(dy, 9), np.full_like(x, 9)
    work = {name: np.ones(asked.shape, asked.dtype or x.dtype) for name, asked in op.work(y.shape, x.shape).items()}
    forward, backward = op.bind(work, y, x, dy, dx)
    forward()
    backward()
    return y, dx


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize(("height", "width", "channels"), [(4, 6, 8), (5, 7, 3), (2, 2, 1), (9, 8, 33)])
def test_as_in_numpy(
    dtype: type, stride: int, height: int, width: int, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    x = random.integers(-3, 3, (3, height, width, channels)).astype(dtype)  # many ties
    x[random.random(x.shape) < 0.05] = -np.inf
    x[random.random(x.shape) < 0.02] = np.nan
    dy = random.normal(size=(3, (height - 2) // stride + 1, (width - 2) // stride + 1, channels)).astype(dtype)
    fused = run(x, dy, stride)
    monkeypatch.setattr(pooling, "compiled_kernels", lambda name: None)
    for ours, theirs in zip(fused, run(x, dy, stride), strict=True):
        np.testing.assert_array_equal(ours, theirs)
