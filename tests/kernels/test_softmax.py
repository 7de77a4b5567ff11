"""Softmax and cross-entropy: the same bits compiled as in numpy, and only where numba runs already."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.special

from tests.support.kernels import both, same_bits


def run(kernels, dtype: type, n: int, classes: int, rows: int) -> dict[str, np.ndarray]:
    """What the functions leave behind."""
    random = np.random.default_rng(0)
    z = (random.normal(size=(n, classes)) * random.choice([1, 30], (n, 1))).astype(dtype)
    z[0], z[-1, -1] = -np.inf, np.nan
    z[1 % n, 0] = np.inf
    t, starts = random.integers(0, classes, n), np.arange(n) * classes
    p, dz, room = np.empty_like(z), np.empty_like(z), np.empty((rows, classes), dtype)
    index, picked, row = np.empty(n, np.intp), np.empty(n, dtype), np.empty(n, dtype)
    kernels.shift(z, t, starts, p, index, picked, row)
    found = {"shifted": p.copy(), "index": index.copy(), "picked": picked.copy()}
    np.exp(p, out=p)
    kernels.normalise(p, row, room)
    found |= {"sums": row.copy(), "p": p.copy()}
    kernels.slopes(p, index, np.array([0.3], dtype), picked, dz)
    return found | {"dz": dz}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "classes", "rows"), [(7, 10, 3), (1, 1, 1), (40, 129, 40), (3, 1000, 1)])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_the_same_bits_compiled_as_in_numpy(dtype: type, n: int, classes: int, rows: int) -> None:
    same_bits("softmax", lambda kernels: run(kernels, dtype, n, classes, rows))


@pytest.mark.parametrize("kernels", both("softmax"))
def test_the_formula(kernels) -> None:
    random = np.random.default_rng(1)
    z, t = random.normal(size=(50, 33)) * 5, random.integers(0, 33, 50)
    p, dz, index, picked, row = np.empty_like(z), np.empty_like(z), np.empty(50, np.intp), np.empty(50), np.empty(50)
    kernels.shift(z, t, np.arange(50) * 33, p, index, picked, row)
    np.exp(p, out=p)
    kernels.normalise(p, row, np.empty((8, 33)))
    np.testing.assert_allclose(p, scipy.special.softmax(z, axis=1), rtol=1e-13)
    losses = scipy.special.logsumexp(z, axis=1) - z[np.arange(50), t]
    np.testing.assert_allclose(np.log(row) - picked, losses, rtol=1e-13, atol=1e-14)  # small losses are differences
    kernels.slopes(p, index, np.array([2.0]), picked, dz)
    np.testing.assert_allclose(dz, 2 * (scipy.special.softmax(z, axis=1) - np.eye(33)[t]), atol=1e-14)


CHOSEN = """
import sys
{before}
from distnn.kernels.loading import joined
print(joined("softmax").__name__)
"""


@pytest.mark.parametrize(("before", "chosen"), [("", "softmax"), ("import numba", "compiled.softmax")])
def test_it_joins_what_is_compiled(before: str, chosen: str) -> None:
    pytest.importorskip("numba", reason="needs numba; cure: pip install '.[fast]'")
    code = CHOSEN.format(before=before)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"distnn.kernels.{chosen}"
