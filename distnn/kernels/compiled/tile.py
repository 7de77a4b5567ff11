"""A tile of sums that stay in registers: what products of matrices are made of.

It has `ROWS` times `VECTOR` bytes: six rows by sixteen float32 numbers are twelve of AVX2's sixteen registers, which
leaves some for what is multiplied. A step multiplies a number for each row by a vector that all rows share. numba's own
loops would keep the sums in memory, so a tile is built of LLVM's instructions.

Source: Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from distnn.arrays import Array

#: Rows of a tile.
ROWS = 6
#: Bytes of a row.
VECTOR = 64

#: numba's, without annotations.
tools: Any = cgutils


def _typed(context: Any, x: Any, at: Any, beyond: Any, rows: Any, along: Any, y: Any, to: Any, add: Any) -> Any:
    """y[to[r]] ← Σᵢ x[at[r] + beyond[i]] · rows[start + i·step], r < `ROWS`, i < count; along = (start, step, count).

    x is read as numbers, ``rows`` and y as vectors. With ``add`` the sums are added to what y had before. Places may
    occur twice: all of y is read before any of it is written.
    """
    return types.void(x, at, beyond, rows, along, y, to, add), _emit


def _emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """The instructions of `_typed`."""
    x, beyond, rows, y = (
        context.make_array(signature.args[i])(context, builder, arguments[i]).data for i in (0, 2, 3, 5)
    )
    at, to = (tools.unpack_tuple(builder, arguments[i]) for i in (1, 6))
    start, step, count = tools.unpack_tuple(builder, arguments[4])
    number = context.get_data_type(signature.args[0].dtype)
    width = context.get_abi_sizeof(number)
    vector = ir.VectorType(number, VECTOR // width)
    sums = [tools.alloca_once_value(builder, ir.Constant(vector, None)) for _ in to]
    name = f"llvm.fmuladd.v{vector.count}f{8 * width}"
    fused = builder.module.declare_intrinsic(name, (), ir.FunctionType(vector, [vector] * 3))
    nowhere, zero = ir.Constant(vector, ir.Undefined), ir.IntType(32)(0)
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None)

    def place(base: Any, offset: Any) -> Any:
        """A pointer to a vector."""
        return builder.bitcast(builder.gep(base, [offset]), vector.as_pointer())

    with tools.for_range(builder, count) as loop:
        near = builder.load(builder.gep(beyond, [loop.index]))
        along = builder.add(start, builder.mul(loop.index, step))
        row = builder.load(place(rows, along), align=width)
        for total, base in zip(sums, at, strict=True):
            scalar = builder.load(builder.gep(builder.gep(x, [base]), [near]))
            spread = builder.shuffle_vector(builder.insert_element(nowhere, scalar, zero), nowhere, everywhere)
            builder.store(builder.call(fused, [spread, row, builder.load(total)]), total)
    targets = [place(y, offset) for offset in to]
    with builder.if_then(arguments[7]):
        for total, target in zip(sums, targets, strict=True):
            builder.store(builder.fadd(builder.load(target, align=width), builder.load(total)), total)
    for total, target in zip(sums, targets, strict=True):
        builder.store(builder.load(total), target, align=width)
    return context.get_dummy_value()


#: Called as `_typed` is from compiled functions, without its context.
tile: Any = intrinsic(_typed)


@njit(cache=True, nogil=True)
def six(places: Array, first: int, start: int) -> Any:
    """`ROWS` places from ``first`` on, the last one again where there are no more, seen from ``start``."""
    last = len(places) - 1
    return (
        start + places[first],
        start + places[min(first + 1, last)],
        start + places[min(first + 2, last)],
        start + places[min(first + 3, last)],
        start + places[min(first + 4, last)],
        start + places[min(first + 5, last)],
    )
