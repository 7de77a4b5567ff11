"""Arithmetic with broadcasting: what ``+ - * / ** @`` on nodes, and sums, exponentials and logarithms, compute.

The derivative rules are those of any calculus text (e.g. Goodfellow, Bengio and Courville, Deep Learning, 2016,
section 6.5); a broadcast operand's gradient is summed over the axes it was broadcast along.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show, size
from distnn.errors import ShapeError, UsageError
from distnn.ops.op import Buffer, Closure, Closures, Op, broadcast, nothing, sum_to, together


class Binary(Op):
    """A broadcasting op ``y = ufunc(a, b)``; ``to_a`` and ``to_b`` write dy · ∂y/∂a and dy · ∂y/∂b."""

    ufunc: np.ufunc

    def shape(self, a: Shape, b: Shape) -> Shape:
        return broadcast(self.label, a, b)

    def work(self, y: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...]) -> dict[str, Buffer]:
        return {} if a == b == y else {"full": Buffer(y, "backward")}

    def to_a(self, out: Array, dy: Array, a: Array, b: Array) -> object:
        """Write dy · ∂y/∂a into ``out``, an array of y's shape."""
        return np.positive(dy, out=out)

    def to_b(self, out: Array, dy: Array, a: Array, b: Array) -> object:
        """Write dy · ∂y/∂b into ``out``, an array of y's shape."""
        return np.positive(dy, out=out)

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        a, b, dy, da, db = arrays
        steps: list[Closure] = []
        for target, rule in ((da, self.to_a), (db, self.to_b)):
            if target is None:
                continue
            out = target if target.shape == y.shape else work["full"]
            steps.append(lambda rule=rule, out=out: rule(out, dy, a, b))  # type: ignore[misc]
            if out is not target:
                steps.append(sum_to(out, target))
        ufunc = self.ufunc
        return (lambda: ufunc(a, b, out=y)), together(steps)


class Add(Binary):
    """y = a + b;   ∂y/∂a = ∂y/∂b = 1."""

    ufunc, keeps_inputs = np.add, False


class Subtract(Binary):
    """y = a − b;   ∂y/∂a = 1, ∂y/∂b = −1."""

    ufunc, keeps_inputs = np.subtract, False

    def to_b(self, out: Array, dy: Array, a: Array, b: Array) -> object:
        return np.negative(dy, out=out)


class Multiply(Binary):
    """y = a b;   ∂y/∂a = b, ∂y/∂b = a."""

    ufunc = np.multiply

    def to_a(self, out: Array, dy: Array, a: Array, b: Array) -> object:
        return np.multiply(dy, b, out=out)

    def to_b(self, out: Array, dy: Array, a: Array, b: Array) -> object:
        return np.multiply(dy, a, out=out)


class Divide(Binary):
    """y = a / b;   ∂y/∂a = 1/b, ∂y/∂b = −a/b²."""

    ufunc = np.divide

    def to_a(self, out: Array, dy: Array, a: Array, b: Array) -> object:
        return np.divide(dy, b, out=out)

    def to_b(self, out: Array, dy: Array, a: Array, b: Array) -> object:
        np.multiply(dy, a, out=out)
        np.divide(out, b, out=out)
        np.divide(out, b, out=out)
        return np.negative(out, out=out)


class Unary(Op):
    """An elementwise op ``y = f(x)``; ``apply`` writes y, by ``ufunc``, and ``derive`` writes dy · f′(x)."""

    ufunc: np.ufunc

    def apply(self, y: Array, x: Array) -> object:
        """Write f(x) into ``y``."""
        return self.ufunc(x, out=y)

    @abstractmethod
    def derive(self, dx: Array, dy: Array, y: Array, x: Array) -> object:
        """Write dy · f′(x) into ``dx``."""

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, dy, dx = arrays
        return (lambda: self.apply(y, x)), (lambda: self.derive(dx, dy, y, x))


class Negate(Unary):
    """y = −x;   dy/dx = −1."""

    ufunc, keeps_inputs = np.negative, False

    def derive(self, dx: Array, dy: Array, y: Array, x: Array) -> object:
        return np.negative(dy, out=dx)


class Power(Unary):
    """y = xᵖ for a constant p;   dy/dx = p xᵖ⁻¹, 0 everywhere for p = 0.

    Raises:
        UsageError: if p is no number.
    """

    def __init__(self, exponent: float) -> None:
        if not isinstance(exponent, int | float | np.number):
            raise UsageError(
                f"the exponent is {exponent!r}; expected a number. For nodes, aᵇ = graph.exp(b * graph.log(a))."
            )
        self.exponent = exponent

    def apply(self, y: Array, x: Array) -> object:
        return np.power(x, self.exponent, out=y)

    def derive(self, dx: Array, dy: Array, y: Array, x: Array) -> object:
        if self.exponent == 0:  # 0 · 0⁻¹ would be NaN
            return np.multiply(dy, 0, out=dx)
        np.power(x, self.exponent - 1, out=dx)
        np.multiply(dx, self.exponent, out=dx)
        return np.multiply(dx, dy, out=dx)


class Exp(Unary):
    """y = eˣ;   dy/dx = y."""

    ufunc, keeps_inputs, keeps_output = np.exp, False, True

    def derive(self, dx: Array, dy: Array, y: Array, x: Array) -> object:
        return np.multiply(dy, y, out=dx)


class Log(Unary):
    """y = ln x;   dy/dx = 1/x."""

    ufunc = np.log

    def derive(self, dx: Array, dy: Array, y: Array, x: Array) -> object:
        return np.divide(dy, x, out=dx)


class Sum(Op):
    """y = Σ x over ``axis`` (an int, a tuple, or None for all axes);   ∂y/∂xᵢ = 1."""

    keeps_inputs = False

    def __init__(self, axis: int | tuple[int, ...] | None = None) -> None:
        self.axis = axis

    def _axes(self, rank: int) -> tuple[int, ...]:
        if self.axis is None:
            return tuple(range(rank))
        axes = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        if any(not -rank <= axis < rank for axis in axes):
            raise ShapeError(f"sum: axis {self.axis} is outside an array of {rank} axes.")
        axes = tuple(axis % rank for axis in axes)
        if len(set(axes)) < len(axes):
            raise ShapeError(f"sum: axis {self.axis} names one of {rank} axes twice.")
        return axes

    def shape(self, x: Shape) -> Shape:
        axes = self._axes(len(x))
        return tuple(length for i, length in enumerate(x) if i not in axes)

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, dy, dx = arrays
        axes = self._axes(x.ndim)
        spread = np.expand_dims(dy if dy is not None else y, axes)
        return (lambda: np.add.reduce(x, axis=axes, out=y)), (lambda: np.copyto(dx, spread))


class MatMul(Op):
    """y = a b.   a (N, I) or (M, I), b (I, O) → y (N, O);   ∂J/∂a = dy bᵀ, ∂J/∂b = aᵀ dy."""

    def shape(self, a: Shape, b: Shape) -> Shape:
        if len(a) != 2 or len(b) != 2 or a[1] != b[0]:
            raise ShapeError(
                f"matmul: shapes {show(a)} and {show(b)} do not fit; expected (N, I) and (I, O) with the same I."
            )
        return (a[0], b[1])

    def flops(self, y: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...]) -> int:
        return 2 * a[0] * a[1] * b[1]

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        a, b, dy, da, db = arrays
        steps: list[Closure] = []
        if db is not None:
            steps.append(lambda: np.matmul(a.T, dy, out=db))
        if da is not None:
            steps.append(lambda: np.matmul(dy, b.T, out=da))
        return (lambda: np.matmul(a, b, out=y)), together(steps)


class Identity(Op):
    """y = x: a view."""

    keeps_inputs, view, cost = False, True, 0

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, dy, dx = arrays
        back = (dy if dy is not None else y).reshape(x.shape)
        return nothing, (lambda: np.copyto(dx, back))


class Reshape(Identity):
    """y = x with its elements in the same order and another shape after the batch axis.

    Arguments:
        shape: the lengths after the first axis, one of which may be −1.
    """

    def __init__(self, *shape: int) -> None:
        self.lengths = shape

    def shape(self, x: Shape) -> Shape:
        inner = [length for length in x[1:] if isinstance(length, int)]
        total, known = size(tuple(inner)), size(tuple(length for length in self.lengths if length != -1))
        lengths = tuple(total // max(known, 1) if length == -1 else length for length in self.lengths)
        if not x or len(inner) != len(x) - 1 or size(lengths) != total:
            raise ShapeError(f"reshape: {show(x)} can't become {show((x[0] if x else 1, *self.lengths))}.")
        return (x[0], *lengths)
