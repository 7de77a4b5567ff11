"""Activations: what they share, and those whose derivative follows from their output.

Stable for any input, infinite ones too: nothing overflows on the way. Source: Goodfellow, Bengio and Courville, Deep
Learning, 2016, section 6.3. Others are in `distnn.ops.gated` and `distnn.ops.probability`; `distnn.ops.by_name` has the
names.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, Self

import numpy as np

from distnn.arrays import Array, size
from distnn.kernels.loading import compiled_kernels
from distnn.ops.op import Buffer, Closure, Closures, Op, flat, nothing, select, together
from distnn.registry import Between, Family, Positive, Registered

#: (y, b) → y = f(y + b), in place.
Shifted = Callable[[Array, Array], object]
#: The fewest elements that are worth numba's start, of 0.7 s.
LARGE = 8192
#: Elements of a `Sloped` activation computed at a time: few enough for its scratch arrays to stay in the cache.
BLOCK = 16384


class Activation(Op, Registered, family=Family("activation")):
    """y = f(x), which may work in place: ``bind(work, y, x, dy, dx)`` takes y for x, and dy for dx.

    So an op that computes x can apply f in the same buffers, whole or piece by piece. For some rows of y, the buffers
    that are ``saved`` are cut to the same rows; the others may be those of a larger piece.
    """

    keeps_inputs, keeps_output = False, True
    #: Whether it loses about half of the signal: the first weights before it are then larger (He et al. 2015).
    rectifies = False

    def shifted(self, y: tuple[int, ...]) -> Shifted | None:
        """A function that writes f(y + b) into rows y (N, O), for b (O,), in one pass; None if there is none."""
        return None


class LinearMap(Op):
    """A linear map with a bias, W x + b, and the activation f that follows it, if a plan has set one: y = f(W x + b).

    f works in place: y takes the place of W x + b, and ∂J/∂(W x + b) that of dy. The inputs are x, the weight, whose
    last axis is that of the outputs, and the bias.
    """

    activation: Activation | None = None

    @property
    def label(self) -> str:
        name = type(self).__name__.lower()
        return f"{name}+{self.activation.label}" if self.activation else name

    def followed_by(self, activation: Activation) -> Self:
        """The same map with this activation in place."""
        fused = copy.copy(self)
        fused.activation, fused.keeps_output, fused.overwrites_dy = activation, activation.keeps_output, True
        return fused

    def shifted(self, y: tuple[int, ...]) -> Shifted | None:
        """The activation's function that adds the bias in the same pass; None if there is none."""
        return self.activation.shifted(y) if self.activation else None

    def flops(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> int:
        return 2 * size(y) * size(inputs[1][:-1]) + (self.activation.flops(y, y) if self.activation else 0)

    def compiles(self, y: tuple[int, ...], *inputs: Any) -> set[str]:
        return self.activation.compiles(y) if self.activation else set()


class FromOutput(Activation):
    """An activation with dy/dx a function of y alone, elementwise."""

    #: The scratch arrays like y that forward and backward need: none, one, or several stacked along a first axis.
    ahead, behind = 0, 1
    #: The type of what ``backward`` takes; the plan's floating-point type if None.
    scratch: type | None = None

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Buffer]:
        asked = {"scratch": Buffer(_stack(self.behind, y), "backward", self.scratch)}
        return asked | ({"ahead": Buffer(_stack(self.ahead, y), "forward")} if self.ahead else {})

    @abstractmethod
    def apply(self, y: Array, x: Array, ahead: Any = None) -> object:
        """Write f(x) into ``y``, which may be ``x`` itself."""

    @abstractmethod
    def backward(self, dx: Array, dy: Array, y: Array, scratch: Array) -> object:
        """Write dy · f′ into ``dx``, which may be ``dy`` itself, from the output alone."""

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, dy, dx = arrays
        ahead = _cut(work.get("ahead"), self.ahead, y)
        scratch = _cut(work.get("scratch"), self.behind, y)
        return (lambda: self.apply(y, x, ahead)), (lambda: self.backward(dx, dy, y, scratch))


class Sloped(Activation):
    """An activation with dy/dx not known from y, or not everywhere well: forward writes it, too."""

    keeps_output = False
    rectifies = True
    #: Below it dy/dx is computed without a sum of terms that cancel: in float32, and in float64.
    far = (-8.0, -20.0)

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Buffer]:
        return {"slope": Buffer(y, "saved"), "scratch": Buffer((4, min(BLOCK, size(y))), "forward")}

    @abstractmethod
    def forward(self, y: Array, x: Array, slope: Array, scratch: Array) -> None:
        """Write f(x) into ``y``, which may be ``x`` itself, and f′ into ``slope``, with four scratch arrays."""

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, dy, dx = arrays
        slope = work["slope"]
        flat = y.reshape(-1), x.reshape(-1), slope.reshape(-1)
        steps: list[Closure] = []
        for start in range(0, y.size, BLOCK):
            out, source, kept = (array[start : start + BLOCK] for array in flat)
            steps.append(partial(self.forward, out, source, kept, work["scratch"][:, : len(out)]))
        return together(steps), (nothing if dy is None else lambda: np.multiply(dy, slope, out=dx))

    def limit(self, x: Array) -> float | None:
        """`far` for this type, if any of ``x`` is below it."""
        limit = self.far[x.dtype == np.float64]
        return limit if np.minimum.reduce(x, axis=None, initial=0) < limit else None


def _stack(count: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if count == 1 else (count, *shape)


def _cut(work: Array | None, count: int, y: Array) -> Any:
    """The part of ``work``, made for a piece of y, that a smaller piece ``y`` needs; None stays None."""
    if work is None or count == 0:
        return work
    parts = [work] if count == 1 else [work[k, ...] for k in range(count)]  # work[k] would be a number where y is one
    cut = [part if part.shape == y.shape else part[: len(y)] for part in parts]
    return cut[0] if count == 1 else cut


def sigmoid(x: Array, out: Array, scratch: Any) -> None:
    """σ(x) = (1 + tanh(x/2)) / 2 into ``out``, which may be ``x``: with tanh no exponential overflows.

    Far below 0 the sum cancels, in the end to 0; there σ(x) = eˣ / (1 + eˣ). ``scratch`` are two arrays like ``x``.
    """
    tail, spare = scratch
    far = -8 if x.dtype == np.float32 else -20
    below = None
    if np.minimum.reduce(x, axis=None, initial=0) < far:
        np.minimum(x, far, out=tail)
        np.exp(tail, out=tail)
        np.add(tail, 1, out=spare)
        np.divide(tail, spare, out=tail)
        below = smaller(x, far, spare)
    np.multiply(x, 0.5, out=out)
    np.tanh(out, out=out)
    np.multiply(out, 0.5, out=out)
    np.add(out, 0.5, out=out)
    if below is not None:
        np.copyto(out, tail, where=below)


def smaller(x: Array, limit: float, scratch: Array) -> Array:
    """Where ``x`` is below the limit, in the memory of a scratch array like it."""
    return np.less(x, limit, out=scratch.reshape(-1).view(np.bool_)[: x.size].reshape(x.shape))


def exp_minus_one(x: Array, out: Array, scratch: Array) -> Array:
    """eˣ − 1 = 2 t / (1 − t), t = tanh(x/2), into ``out``, for x ≤ 0; ``out`` may be ``x``.

    Nothing cancels, and in float32 it takes a third of the time of numpy's expm1.
    """
    np.multiply(x, 0.5, out=out)
    np.tanh(out, out=out)
    np.subtract(1, out, out=scratch)
    np.divide(out, scratch, out=out)
    return np.multiply(out, 2, out=out)


def softplus(x: Array, out: Array, scratch: Array) -> Array:
    """ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|) into ``out``, which may be ``x``: it overflows for no x."""
    np.abs(x, out=scratch)
    np.negative(scratch, out=scratch)
    np.exp(scratch, out=scratch)
    np.log1p(scratch, out=scratch)
    np.maximum(x, 0, out=out)
    return np.add(out, scratch, out=out)


class Sigmoid(FromOutput, kind="sigmoid"):
    """y = σ(x) = 1 / (1 + e⁻ˣ) = (1 + tanh(x/2)) / 2;   dy/dx = y (1 − y)."""

    ahead = 2

    def apply(self, y: Array, x: Array, ahead: Any = None) -> object:
        sigmoid(x, y, ahead)
        return y

    def backward(self, dx: Array, dy: Array, y: Array, scratch: Array) -> object:
        np.subtract(1, y, out=scratch)
        np.multiply(scratch, y, out=scratch)
        return np.multiply(dy, scratch, out=dx)


class Tanh(FromOutput, kind="tanh"):
    """y = tanh x;   dy/dx = 1 − y²."""

    def apply(self, y: Array, x: Array, ahead: Any = None) -> object:
        return np.tanh(x, out=y)

    def backward(self, dx: Array, dy: Array, y: Array, scratch: Array) -> object:
        np.multiply(y, y, out=scratch)
        np.subtract(1, scratch, out=scratch)
        return np.multiply(dy, scratch, out=dx)


class ReLU(FromOutput, kind="relu"):
    """y = max(x, 0);   dy/dx = 1 where y > 0, else 0 (at 0 too)."""

    kernels = "rectifier"
    scratch = np.bool_
    rectifies = True

    def compiles(self, y: tuple[int, ...], *inputs: Any) -> set[str]:
        return {self.kernels} if size(y) >= LARGE else set()

    def _compiled(self, y: tuple[int, ...]) -> ModuleType | None:
        return compiled_kernels(self.kernels) if self.compiles(y) else None

    def shifted(self, y: tuple[int, ...]) -> Shifted | None:
        kernels = self._compiled(y)
        return None if kernels is None else kernels.shift

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        kernels = self._compiled(y.shape)
        if kernels is None or not all(array is None or array.flags.c_contiguous for array in (y, *arrays)):
            return super().bind(work, y, *arrays)
        y, x, dy, dx = map(flat, (y, *arrays))
        return (lambda: kernels.rectify(x, y)), (lambda: kernels.slope(dy, y, dx))

    def apply(self, y: Array, x: Array, ahead: Any = None) -> object:
        # clip: np.maximum with a scalar takes 2 to 4 times as long, a mask and a product 2 times
        return np.clip(x, 0.0, np.inf, out=y)

    def backward(self, dx: Array, dy: Array, y: Array, scratch: Array) -> object:
        np.greater(y, 0, out=scratch)
        return select(dy, scratch, dx)


class LeakyReLU(FromOutput, kind="leaky_relu"):
    """y = max(x, s x);   dy/dx = 1 where y > 0, else s (at 0 too).

    Source: Maas, Hannun and Ng, Rectifier Nonlinearities Improve Neural Network Acoustic Models, 2013.

    Raises:
        UsageError: for a slope outside its range.
    """

    label = "leaky_relu"
    ahead = 1
    rectifies = True

    def __init__(
        self,
        slope: Between = 0.1,  #: s, of leaky_relu below 0
    ) -> None:
        self.slope = slope

    def apply(self, y: Array, x: Array, ahead: Any = None) -> object:
        np.multiply(x, self.slope, out=ahead)
        return np.maximum(x, ahead, out=y)

    def backward(self, dx: Array, dy: Array, y: Array, scratch: Array) -> object:
        np.greater(y, 0, out=scratch)
        np.maximum(scratch, self.slope, out=scratch)
        return np.multiply(dy, scratch, out=dx)


class ELU(Sloped, kind="elu"):
    """y = x for x > 0, else α (eˣ − 1);   dy/dx = 1 for y > 0, else α eˣ, which is y + α except far below 0.

    Source: Clevert, Unterthiner and Hochreiter, Fast and Accurate Deep Network Learning by ELUs, 2016.

    Raises:
        UsageError: for an α outside its range.
    """

    def __init__(
        self,
        alpha: Positive = 1.0,  #: α, of elu
    ) -> None:
        self.alpha = alpha

    def forward(self, y: Array, x: Array, slope: Array, scratch: Array) -> None:
        below, spare, tail, mask = scratch
        if (far := self.limit(x)) is not None:
            np.minimum(x, far, out=tail)
            np.exp(tail, out=tail)
            np.multiply(tail, self.alpha, out=tail)
            mask = smaller(x, far, mask)
        np.minimum(x, 0, out=below)
        exp_minus_one(below, below, spare)
        np.multiply(below, self.alpha, out=below)
        np.maximum(x, 0, out=y)
        np.add(y, below, out=y)
        np.minimum(y, 0, out=slope)
        np.add(slope, self.alpha, out=slope)
        if self.alpha != 1:
            np.greater(y, 0, out=spare)
            np.multiply(spare, 1 - self.alpha, out=spare)
            np.add(slope, spare, out=slope)
        if far is not None:
            np.copyto(slope, tail, where=mask)


class Softplus(FromOutput, kind="softplus"):
    """y = ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|);   dy/dx = σ(x) = 1 − e⁻ʸ.

    Source: Dugas et al., Incorporating Second-Order Functional Knowledge for Better Option Pricing, 2001.
    """

    ahead, behind = 1, 2

    def apply(self, y: Array, x: Array, ahead: Any = None) -> object:
        return softplus(x, y, ahead)

    def backward(self, dx: Array, dy: Array, y: Array, scratch: Array) -> object:
        slope, spare = scratch
        np.negative(y, out=slope)
        exp_minus_one(slope, slope, spare)
        np.negative(slope, out=slope)
        return np.multiply(dy, slope, out=dx)
