"""An operation: a shape rule, a FLOP count, and a pair of closures over bound buffers. Nothing else.

An op knows nothing of graphs, plans, batches or ranks. A plan (`distnn.graph.plan`) calls ``bind`` once, with
every buffer it will ever use, and then only runs the two closures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from distnn.arrays import Array, Dim, Shape, show, size
from distnn.errors import DataError, ShapeError

Closure = Callable[[], object]
Closures = tuple[Closure, Closure]
#: Adds an array up over all shards of a batch, in place.
Exchange = Callable[[Array], object]


@dataclass(frozen=True)
class Buffer:
    """A buffer that an op needs beside its inputs and outputs.

    Arguments:
        shape: with the batch bound.
        span: ``saved`` lives from the op's forward to its backward; ``forward`` and ``backward`` only within one.
        dtype: the plan's floating-point type if None.
    """

    shape: tuple[int, ...]
    span: Literal["saved", "forward", "backward"]
    dtype: type | None = None


class Op(ABC):
    """An operation ``y = f(x₁, …)``; the subclass gives the formula, the shapes and the derivatives.

    ``bind(work, y, *inputs, dy, *dinputs)`` returns ``(forward, backward)``. ``forward`` writes ``y``; ``backward``
    reads ``dy`` = ∂J/∂y and writes ∂J/∂xᵢ into each ``dxᵢ`` that is not None, overwriting what was there (a plan
    adds up fan-out itself). ``backward`` may use ``dy`` as scratch only if ``overwrites_dy``.
    """

    #: Whether backward reads the inputs, or the output: a plan then keeps their buffers until it has run.
    keeps_inputs = True
    keeps_output = False
    overwrites_dy = False
    #: The output is the first input's memory in another shape: a plan then neither allocates nor copies it.
    view = False
    #: Its layer's dotted name, which an op that draws random numbers keys them to.
    name = ""
    #: Floating-point operations of one forward, for each element of the output or, where it has more, the first input.
    cost = 1
    #: False for counts and the like, through which no gradient flows.
    differentiable = True
    #: The kernels it uses (`distnn.kernels.loading.load`), if any; see `compiles`.
    kernels = ""
    #: The kernels it uses where others are compiled (`distnn.kernels.loading.joined`), since alone they aren't worth
    #: numba's start.
    joins = ""
    #: Whether it needs sums over all shards of the batch: a plan then binds what `over` returns.
    exchanges = False

    @property
    def label(self) -> str:
        """The name that automatic node names and error messages use."""
        return type(self).__name__.lower()

    def shape(self, *inputs: Any) -> Shape:
        """The output's shape for the inputs' shapes, in which N stands for the batch; by default the first input's.

        Raises:
            ShapeError: if the inputs don't fit.
        """
        return tuple(inputs[0])

    def flops(self, y: tuple[int, ...], *inputs: Any) -> int:
        """Floating-point operations of one forward for these shapes: `cost` for each element."""
        return self.cost * max(map(size, (y, *inputs[:1])))

    def work(self, y: tuple[int, ...], *inputs: Any) -> dict[str, Buffer]:
        """The buffers needed beside inputs and outputs, by their names in ``bind``."""
        return {}

    def check(self, y: tuple[int, ...]) -> None:  # noqa: B027 (most have nothing to refuse)
        """Refuse to train on so few samples; by default none are too few.

        Arguments:
            y: the output's shape for a micro-shard or, for an op that ``exchanges``, a whole batch.

        Raises:
            ShapeError: saying what to do.
        """

    def compiles(self, y: tuple[int, ...], *inputs: Any) -> set[str]:
        """The names of the kernels that it uses for these shapes: small ones may not be worth compiling."""
        return {self.kernels} if self.kernels else set()

    def inference(self, inputs: tuple[Any, ...]) -> tuple[Op, tuple[Any, ...]]:
        """The op and its inputs in a forward-only plan: the same, unless prediction differs from training."""
        return self, inputs

    def over(self, exchange: Exchange) -> Op:
        """The op with a way to add up over the shards; only if it ``exchanges``."""
        raise AssertionError(f"{type(self).__name__} exchanges nothing")

    def messages(self, *inputs: Any) -> tuple[list[int], list[int]]:
        """The lengths of the arrays that forward, and that backward, add up over the shards, in their order."""
        return [], []

    @abstractmethod
    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        """The two closures over these arrays."""


def broadcast(name: str, *shapes: Shape) -> Shape:
    """The shape that ``shapes`` broadcast to, by numpy's rule, with N equal only to itself and to 1.

    Raises:
        ShapeError: naming the op and every shape.
    """
    rank = max(len(shape) for shape in shapes)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    result: list[Dim] = []
    for lengths in zip(*padded, strict=True):
        others = [length for length in lengths if length != 1]
        if any(length != others[0] for length in others):
            listed = " and ".join(show(shape) for shape in shapes)
            raise ShapeError(f"{name}: shapes {listed} do not broadcast; each pair of axes must be equal or 1.")
        result.append(others[0] if others else 1)
    return tuple(result)


def sum_to(source: Array, target: Array) -> Closure:
    """A closure that adds ``source`` up over the axes along which ``target`` was broadcast, into ``target``."""
    if source.shape == target.shape:
        return lambda: np.copyto(target, source)
    padded = target.reshape((1,) * (source.ndim - target.ndim) + target.shape)
    axes = tuple(i for i in range(source.ndim) if padded.shape[i] == 1 and source.shape[i] != 1)

    def reduce() -> None:
        np.add.reduce(source, axis=axes, keepdims=True, out=padded)

    return reduce


def flat(array: Any) -> Any:
    """All axes as one; None stays None."""
    return None if array is None else array.reshape(-1)


def by_rows(array: Any) -> Any:
    """All axes but the last as one: a view; None stays None."""
    return None if array is None else array.reshape(-1, array.shape[-1])


def select(source: Array, mask: Array, out: Array) -> object:
    """``source`` where the mask is true, else 0, into ``out``, which may be ``source``: ∞ and NaN don't get through.

    It multiplies the bits, as integers: as fast as a product of the numbers, and 5 times as fast as a masked copy.
    """
    bits = f"i{source.itemsize}"
    return np.multiply(source.view(bits), mask, out=out.view(bits))


def within(numbers: Array, count: int, what: str, cure: str) -> Closure:
    """A closure that refuses integers outside 0 … ``count`` − 1, which compiled code would take for places in memory.

    Arguments:
        what, cure: what a number is called in the DataError, and what to do about it.
    """
    unsigned = numbers.view(f"u{numbers.itemsize}")  # in which the negative ones are the largest

    def check() -> None:
        if np.maximum.reduce(unsigned, axis=None, initial=0) >= count:
            place = np.argwhere(unsigned >= count)[0].tolist()
            raise DataError(
                f"{what} {numbers[tuple(place)]}, at place {place} of its batch, is outside 0 … {count - 1}; {cure}."
            )

    return check


def nothing() -> None:
    """The forward of a view, and the backward of an op through which no gradient flows."""


def together(closures: list[Closure]) -> Closure:
    """One closure that runs ``closures`` in order."""
    if len(closures) == 1:
        return closures[0]

    def run() -> None:
        for closure in closures:
            closure()

    return run
