"""Losses of predictions and targets of one shape. Those of class labels are in `distnn.ops.classification`.

Every loss is the SUM over the samples of the batch: shards of any sizes then add up exactly, and the one division by
the number of samples happens after the reduction over the ranks.

Predictions and targets may carry axes of length 1 after the batch: (N, 1) and (N,) mean the same.

A third input are weights w ≥ 0 of the samples (N,), or of the targets, of their shape: J = Σ w · loss. Where w is 0 the
loss and its gradient are 0, whatever the prediction and the target are. No gradient flows to the weights.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show, size
from distnn.errors import ShapeError, UsageError
from distnn.ops.activation import sigmoid, softplus
from distnn.ops.op import Buffer, Closures, Op, flat, select


def _squeezed(shape: Shape) -> Shape:
    """A shape without its axes of length 1 after the batch."""
    return shape[:1] + tuple(length for length in shape[1:] if length != 1)


def check_weights(label: str, target: Shape, weights: tuple[Shape, ...]) -> None:
    """Refuse weights that are neither of the samples nor of the targets.

    Raises:
        ShapeError: saying what was expected.
    """
    for shape in weights:
        if shape != target[:1] and _squeezed(shape) != _squeezed(target):
            raise ShapeError(
                f"{label}: the weights have shape {show(shape)} and the target {show(target)}; expected "
                f"{show(target[:1])}, one for each sample, or the target's shape."
            )


def parted(arrays: tuple[Any, ...]) -> tuple[tuple[Any, ...], Array, tuple[Any, ...]]:
    """What `Op.bind` is given: the inputs, dy, and the gradients of the inputs, but of the weights, which have none.

    Raises:
        UsageError: if the weights' is wanted.
    """
    count = len(arrays) // 2
    if any(array is not None for array in arrays[count + 3 :]):
        raise UsageError("no gradient flows to the weights of a loss; leave them out of wrt.")
    return arrays[:count], arrays[count], arrays[count + 1 : count + 3]


class Weighing:
    """Multiplies what there is of each target by its weight; where that is 0 it becomes 0, even if it was ∞ or NaN.

    Arguments:
        weights: of the samples (N,), or of all targets (N, …).
        kept: a scratch buffer of that shape, whose values are needed as long as this is used.
    """

    def __init__(self, weights: Array, kept: Array) -> None:
        rows = len(weights)
        self._rows, self._weights, self._kept = rows, weights.reshape(rows, -1), kept.reshape(rows, -1)

    def begin(self) -> None:
        """Look at the weights, which are new."""
        np.not_equal(self._weights, 0, out=self._kept)

    def select(self, values: Array, out: Array) -> None:
        """The values (n,) where the weights aren't 0, else 0, into ``out``, which may be they."""
        select(values.reshape(self._rows, -1), self._kept, out.reshape(self._rows, -1))

    def weigh(self, values: Array, out: Array) -> None:
        """The values (n,) times the weights, into ``out``, which may be they."""
        self.select(values, out)
        of_rows = out.reshape(self._rows, -1)
        np.multiply(of_rows, self._weights, out=of_rows)


def weighing(work: dict[str, Array], weights: tuple[Array, ...]) -> Weighing | None:
    """The weights of a loss, if it has some."""
    return Weighing(weights[0], work["kept"]) if weights else None


class ElementwiseLoss(Op):
    """A loss of predictions and targets of one shape, and perhaps of weights."""

    def shape(self, prediction: Shape, target: Shape, *weights: Shape) -> Shape:
        if _squeezed(prediction) != _squeezed(target):
            raise ShapeError(
                f"{self.label}: the output has shape {show(prediction)} and the target {show(target)}; "
                f"they must be equal, axes of length 1 aside."
            )
        check_weights(self.label, target, weights)
        return ()

    def work(
        self, y: tuple[int, ...], prediction: tuple[int, ...], target: tuple[int, ...], *weights: tuple[int, ...]
    ) -> dict[str, Buffer]:
        return {"kept": Buffer(weights[0], "saved", np.bool_)} if weights else {}


class OfDifference(ElementwiseLoss):
    """A loss of the differences d = p − t alone, Σ s · r with ∂J/∂d = f s: ∂J/∂p = ∂J/∂d = −∂J/∂t."""

    #: The scratch arrays like d that ``evaluate`` needs.
    scratch = 1
    #: f
    factor = 1

    def work(
        self, y: tuple[int, ...], prediction: tuple[int, ...], target: tuple[int, ...], *weights: tuple[int, ...]
    ) -> dict[str, Buffer]:
        flat = (size(prediction),)
        found = {"slope": Buffer(flat, "saved"), **super().work(y, prediction, target, *weights)}
        if weights:
            found["weighted"] = Buffer(flat, "saved")
        return found | {f"scratch{k}": Buffer(flat, "forward") for k in range(self.scratch)}

    @abstractmethod
    def evaluate(self, p: Array, t: Array, slope: Array, *scratch: Array) -> Array:
        """Write s into ``slope`` and return r, for flat p and t; it may be s."""

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        (prediction, target, *weights), dy, gradients = parted(arrays)
        p, t, dp, dt = map(flat, (prediction, target, *gradients))
        scratch, weigh = [work[f"scratch{k}"] for k in range(self.scratch)], weighing(work, tuple(weights))
        slope = work["weighted"] if weigh else work["slope"]

        def forward() -> None:
            rest = self.evaluate(p, t, work["slope"], *scratch)
            if weigh:
                weigh.begin()
                weigh.weigh(work["slope"], slope)
                weigh.select(rest, rest)
            np.dot(slope, rest, out=y)
            if self.factor != 1:
                np.multiply(slope, self.factor, out=slope)

        def backward() -> None:
            if dp is not None:
                np.multiply(slope, dy, out=dp)
            if dt is not None:
                np.multiply(slope, dy, out=dt)
                np.negative(dt, out=dt)

        return forward, backward


class SquaredError(OfDifference):
    """J = Σₙ Σⱼ (pₙⱼ − tₙⱼ)²;   ∂J/∂p = 2 (p − t).   Source: Bishop, PRML, 2006, section 1.1."""

    label, cost, scratch, factor = "squared error", 3, 0, 2

    def evaluate(self, p: Array, t: Array, slope: Array, *scratch: Array) -> Array:
        return np.subtract(p, t, out=slope)


class AbsoluteError(OfDifference):
    """J = Σₙ Σⱼ |pₙⱼ − tₙⱼ|;   ∂J/∂p = sign(p − t), 0 where they are equal.

    Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2009, section 10.6.
    """

    label, cost = "absolute error", 3

    def evaluate(self, p: Array, t: Array, slope: Array, *scratch: Array) -> Array:
        (difference,) = scratch
        np.subtract(p, t, out=difference)
        np.sign(difference, out=slope)
        return difference


class Huber(OfDifference):
    """J = Σₙ Σⱼ d²/2 where |d| ≤ δ, else δ (|d| − δ/2), with d = pₙⱼ − tₙⱼ;   ∂J/∂p = c, which is d clipped to ±δ.

    Computed as Σ c (d − c/2). Source: Huber, Robust Estimation of a Location Parameter, 1964.

    Arguments:
        delta: δ > 0.

    Raises:
        UsageError: for a δ outside its range.
    """

    cost, scratch = 7, 2

    def __init__(self, delta: float = 1.0) -> None:
        if not 0 < delta < np.inf:
            raise UsageError(f"Huber: delta is {delta}; expected a number above 0.")
        self.delta = delta

    def evaluate(self, p: Array, t: Array, slope: Array, *scratch: Array) -> Array:
        difference, half = scratch
        np.subtract(p, t, out=difference)
        np.minimum(difference, self.delta, out=slope)
        np.maximum(slope, -self.delta, out=slope)
        np.multiply(slope, 0.5, out=half)
        return np.subtract(difference, half, out=difference)


class BinaryCrossEntropy(ElementwiseLoss):
    """J = −Σₙ [tₙ ln σ(zₙ) + (1 − tₙ) ln(1 − σ(zₙ))], on logits z and targets t in [0, 1].

    ∂J/∂z = σ(z) − t,   ∂J/∂t = −z.

    Computed as Σ max(z, 0) − z t + ln(1 + e^−|z|), which overflows for no z. Source: Bishop, PRML, 2006, section 4.3.2.
    """

    label, cost = "binary cross-entropy", 6

    def work(
        self, y: tuple[int, ...], logits: tuple[int, ...], target: tuple[int, ...], *weights: tuple[int, ...]
    ) -> dict[str, Buffer]:
        flat = (size(logits),)
        parts = {"a": Buffer(flat, "forward"), "b": Buffer(flat, "forward")}
        return super().work(y, logits, target, *weights) | parts | {"scratch": Buffer((2, *flat), "backward")}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        (logits, target, *weights), dy, gradients = parted(arrays)
        z, t, dz, dt = map(flat, (logits, target, *gradients))
        a, b, weigh = work["a"], work["b"], weighing(work, tuple(weights))

        def forward() -> None:
            softplus(z, a, b)
            np.multiply(z, t, out=b)
            np.subtract(a, b, out=a)
            if weigh:
                weigh.begin()
                weigh.weigh(a, a)
            np.add.reduce(a, out=y)

        def backward() -> None:
            if dt is not None:
                np.multiply(z, -dy, out=dt)
            if dz is not None:
                sigmoid(z, dz, work["scratch"])
                np.subtract(dz, t, out=dz)
                np.multiply(dz, dy, out=dz)
            if weigh:
                for gradient in (dz, dt):
                    if gradient is not None:
                        weigh.weigh(gradient, gradient)

        return forward, backward
