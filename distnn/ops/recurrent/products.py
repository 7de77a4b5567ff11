"""Products of rows with one matrix, again and again: the matrix is brought into the best order once for all of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from distnn.arrays import Array
from distnn.kernels import compiled_kernels
from distnn.ops.op import Closure

#: The matrix's columns are a multiple of this: of 64 bytes in float32.
LANES = 16
#: Elements of a matrix that is worth numba's start, at least: what is chosen hangs on the matrix, not the batch.
LEAST = 2**16


def suits(rows: int, columns: int) -> bool:
    """Whether products with such a matrix are compiled, which is faster than the BLAS for few rows."""
    return columns % LANES == 0 and rows * columns >= LEAST


def repeated(matrix: Array, room: Array) -> tuple[Closure, Callable[[Array, Array], object]]:
    """What takes the matrix over, before the first product, and what writes a product a · matrix into an array.

    Arguments:
        matrix: (K, M), also a transposed one.
        room: for as many elements.

    Returns:
        A closure, and a function of a (N, K) and of what is to be filled (N, M), both contiguous.
    """
    inner, outer = matrix.shape
    kernels = compiled_kernels("products") if suits(inner, outer) else None
    if kernels is None:
        copy = room.reshape(inner, outer)
        return (lambda: np.copyto(copy, matrix)), (lambda a, out: np.matmul(a, copy, out=out))
    lanes = kernels.VECTOR // matrix.itemsize
    source = matrix.reshape(inner, outer // lanes, lanes).swapaxes(0, 1)
    pieces, flat, taps, multiply = room.reshape(source.shape), room.reshape(-1), np.arange(inner), kernels.multiply

    def product(a: Array, out: Array) -> None:
        rows = np.arange(len(a))
        multiply(a.reshape(-1), 0, rows * inner, taps, flat, len(pieces), out.reshape(-1), 0, rows * outer)

    return (lambda: np.copyto(pieces, source)), product
