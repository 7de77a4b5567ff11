"""Products of rows with one matrix, step after step: the matrix is put into the best order once for all of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from distnn.arrays import Array
from distnn.kernels.loading import compiled_kernels
from distnn.ops.op import Closure

#: The matrix's columns are a multiple of this: of 64 bytes in float32.
LANES = 16
#: The fewest elements of a matrix that are worth numba's start: the choice depends on the matrix, not the batch.
LEAST = 2**16

#: What writes a · matrix (N, M) into an array, for a (N, K), both contiguous.
Product = Callable[[Array, Array], object]


def suits(rows: int, columns: int) -> bool:
    """Whether products with such a matrix are compiled, which is faster than the BLAS for few rows."""
    return columns % LANES == 0 and rows * columns >= LEAST


def repeated(matrix: Array, copy: Array) -> tuple[Closure, Product]:
    """What copies the matrix, before the first product of a pass, and what writes a product with the copy.

    Arguments:
        matrix: (K, M), also a transposed one.
        copy: of as many elements, to be filled.
    """
    inner, outer = matrix.shape
    kernels = compiled_kernels("products") if suits(inner, outer) else None
    if kernels is None:
        plain = copy.reshape(inner, outer)
        return (lambda: np.copyto(plain, matrix)), (lambda a, out: np.matmul(a, plain, out=out))
    lanes = kernels.VECTOR // matrix.itemsize
    source = matrix.reshape(inner, outer // lanes, lanes).swapaxes(0, 1)
    pieces, flat, taps, multiply = copy.reshape(source.shape), copy.reshape(-1), np.arange(inner), kernels.multiply

    def product(a: Array, out: Array) -> None:
        rows = np.arange(len(a))
        multiply(a.reshape(-1), 0, rows * inner, taps, flat, len(pieces), out.reshape(-1), 0, rows * outer)

    return (lambda: np.copyto(pieces, source)), product
