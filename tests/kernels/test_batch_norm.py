"""Batch norm's kernels: compiled, they give numpy's bits."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.kernels import both


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("rows", "width", "block"), [(1, 16, 4), (7, 48, 3), (100, 1000, 32), (33, 2, 64), (1031, 1, 65536)]
)
def test_the_same_bits(dtype: type, rows: int, width: int, block: int) -> None:
    random = np.random.default_rng(0)
    x, dy = random.normal(5, 2, (2, rows, width)).astype(dtype)
    mean, inverse, gain, bias, shift, scale, factor = random.normal(1, 1, (7, width)).astype(dtype)
    found = []
    for kernels in both("batch_norm"):
        normal, y, dx, room = (np.full_like(x, 9) for _ in range(4))
        total, squares, of_bias, of_gain, part = np.full((5, width), 9, dtype)
        kernels.total(x, block, part, total)
        kernels.squares(x, mean, block, room, part, squares)
        kernels.normalise(x, mean, inverse, gain, bias, block, normal, y)
        kernels.slopes(dy, normal, block, room, part, of_bias, of_gain)
        kernels.spread(dy, normal, shift, scale, factor, block, room, dx)
        found.append([total, squares, normal, y, of_bias, of_gain, dx])
    for results in zip(*found, strict=True):
        for other in results[1:]:
            np.testing.assert_array_equal(results[0], other)
    np.testing.assert_allclose(found[0][0], x.sum(0, dtype=float), rtol=1e-5)
