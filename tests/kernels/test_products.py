"""Compiled products: against the BLAS's, of columns and of steps, and sums that hang on neither batch nor blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from distnn.kernels.loading import compiled_kernels
from distnn.ops import blocks, windows
from distnn.ops.conv import convolution, direct
from distnn.ops.conv.convolution import Conv1D, Conv2D
from distnn.ops.conv.direct import Direct
from distnn.ops.conv.gemm import Gemm
from distnn.ops.op import Op
from distnn.ops.recurrent import products as repeated
from distnn.ops.recurrent.cells import GRU, LSTM, Cell, SimpleRNN
from distnn.ops.recurrent.recurrence import Recurrence

pytestmark = pytest.mark.skipif(compiled_kernels("products") is None, reason="numba isn't installed")

CASES: list[tuple[Conv2D, tuple[int, ...], tuple[int, ...]]] = [
    (Conv2D(1, "same"), (28, 28, 1), (3, 3, 1, 16)),
    (Conv2D(1, "same"), (14, 13, 32), (3, 3, 32, 48)),
    (Conv2D(2, 1), (15, 14, 16), (3, 3, 16, 32)),
    (Conv2D(2), (15, 14, 16), (1, 1, 16, 32)),  # phases that no tap sees
    (Conv2D(3, ((3, 0), (2, 5))), (20, 17, 16), (4, 2, 16, 16)),
    (Conv2D(1, 2, (2, 3)), (12, 13, 16), (3, 2, 16, 16)),
    (Conv2D((2, 1), 1, (1, 2)), (12, 13, 16), (3, 3, 16, 16)),
    (Conv2D(2, 1, 2), (12, 13, 16), (3, 3, 16, 16)),  # the images' gradient by columns
    (Conv2D((3, 1), ((1, 0), (0, 0)), (3, 1)), (18, 5, 32), (4, 5, 32, 48)),  # the same, in other blocks
    (Conv2D(1, "valid"), (9, 9, 5), (3, 3, 5, 16)),  # the same
    (Conv1D(1, "same"), (40, 16), (5, 16, 32)),
]


def run(op: Op, shapes: list[tuple[int, ...]], dtype: type, seed: int = 0) -> list[np.ndarray]:
    """y and the gradients; buffers are full of NaN before."""
    random = np.random.default_rng(seed)
    arrays = [random.normal(size=shape).astype(dtype) for shape in shapes]
    shape = op.shape(*shapes)
    y, dy = np.full(shape, np.nan, dtype), random.normal(size=shape).astype(dtype)
    work = {k: np.full(v.shape, np.nan, v.dtype or dtype) for k, v in op.work(y.shape, *shapes).items()}
    gradients = [np.full(shape, np.nan, dtype) for shape in shapes]
    forward, backward = op.bind(work, y, *arrays, dy, *gradients)
    for _ in range(2):
        forward()
        backward()
    return [y, *gradients]


def method(op: Conv2D, shapes: list[tuple[int, ...]]) -> Any:
    return op.method(windows.image("x", shapes[0], op.axes), op._kernel(shapes[1]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block", [blocks.BLOCK, 40_000, 3_000])
@pytest.mark.parametrize(("op", "image", "weight"), CASES)
def test_as_by_columns(
    op: Conv2D,
    image: tuple[int, ...],
    weight: tuple[int, ...],
    block: int,
    dtype: type,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(direct, "LEAST_WORK", 0)
    monkeypatch.setattr(blocks, "BLOCK", block)
    monkeypatch.setattr(blocks, "LEAST", 1)
    shapes = [(6, *image), weight, weight[-1:]]
    assert isinstance(method(op, shapes), Direct)
    found = run(op, shapes, dtype)
    monkeypatch.setattr(convolution, "compiled_kernels", lambda name: None)
    assert isinstance(method(op, shapes), Gemm)
    for ours, theirs in zip(found, run(op, shapes, dtype), strict=True):
        # Rounding errors of a sum of random signs grow with the root of its terms, of which there are below 2,400.
        assert np.abs(ours - theirs).max() <= 100 * np.finfo(dtype).eps * np.abs(theirs).max()


@pytest.mark.parametrize(("op", "image", "weight"), CASES[:2] + CASES[4:5])
def test_sums_are_those_of_a_sample_alone(
    op: Conv2D, image: tuple[int, ...], weight: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "LEAST_WORK", 0)
    random = np.random.default_rng(1)
    x, kernel = (random.normal(size=shape).astype(np.float32) for shape in ((7, *image), weight))

    def outputs(x: np.ndarray) -> np.ndarray:
        y = np.empty(op.shape(x.shape, weight), np.float32)
        work = {k: np.empty(v.shape, np.float32) for k, v in op.work(y.shape, x.shape, weight).items()}
        op.bind(work, y, x, kernel, None, None, None)[0]()
        return y

    together = outputs(x)
    assert all(outputs(x[n : n + 1]).tobytes() == together[n].tobytes() for n in range(len(x)))
    monkeypatch.setattr(blocks, "BLOCK", 1500)
    monkeypatch.setattr(blocks, "LEAST", 1)
    assert outputs(x).tobytes() == together.tobytes()


def test_what_is_chosen_hangs_on_the_sample_alone() -> None:
    op, weight = Conv2D(1, "same"), (3, 3, 16, 16)
    for batch in (1, 256):
        assert op.compiles((batch, 28, 28, 16), (batch, 28, 28, 16), weight) == {"products"}
        assert op.compiles((batch, 4, 4, 16), (batch, 4, 4, 16), weight) == set()  # not worth numba's start
    assert op.compiles((1, 28, 28, 10), (1, 28, 28, 16), (3, 3, 16, 10)) == set()  # not in pieces of 64 bytes
    assert op.compiles((1, 28, 28, 256), (1, 28, 28, 256), (3, 3, 256, 256)) == set()  # better by the BLAS


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cell", [SimpleRNN(), GRU(), LSTM()])
def test_steps_as_by_the_blas(cell: Cell, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated, "LEAST", 0)
    op, columns = Recurrence(cell), 16 * cell.gates
    shapes = [(7, 5, 3), (3, columns), (16, columns), *[(columns,)] * len(cell.biases)]
    assert "products" in op.compiles((7, 5, 16), *shapes)
    found = run(op, shapes, dtype)
    monkeypatch.setattr(repeated, "LEAST", 2**20)
    assert "products" not in op.compiles((7, 5, 16), *shapes)
    for ours, theirs in zip(found, run(op, shapes, dtype), strict=True):
        # Gates saturate and unsaturate what rounding did, step by step.
        assert np.abs(ours - theirs).max() <= 100 * np.finfo(dtype).eps * np.abs(theirs).max()


def test_a_product_is_that_of_each_row_alone() -> None:
    random = np.random.default_rng(2)
    a, matrix = (random.normal(size=shape).astype(np.float32) for shape in ((13, 260), (260, 272)))
    begin, product = repeated.repeated(matrix, np.empty(matrix.size, np.float32))
    begin()
    together, alone = np.empty((13, 272), np.float32), np.empty((1, 272), np.float32)
    product(a, together)
    np.testing.assert_allclose(together, a.astype(np.float64) @ matrix, rtol=0, atol=1e-4)
    for n in range(len(a)):
        product(a[n : n + 1], alone)
        assert alone.tobytes() == together[n].tobytes()
