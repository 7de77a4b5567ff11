"""Losses of predictions and targets of one shape. Those of class labels are in `distnn.ops.classification`.

Every loss is the SUM over the samples of the batch: shards of any sizes then add up exactly, and the one division by
the number of samples happens after the reduction over the ranks.

Predictions and targets may carry axes of length 1 after the batch: (N, 1) and (N,) mean the same.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show, size
from distnn.errors import ShapeError, UsageError
from distnn.ops.activation import sigmoid, softplus
from distnn.ops.op import Buffer, Closures, Op, flat


def _squeezed(shape: Shape) -> Shape:
    """A shape without its axes of length 1 after the batch."""
    return shape[:1] + tuple(length for length in shape[1:] if length != 1)


class ElementwiseLoss(Op):
    """A loss of predictions and targets of one shape."""

    def shape(self, prediction: Shape, target: Shape) -> Shape:
        if _squeezed(prediction) != _squeezed(target):
            raise ShapeError(
                f"{self.label}: the output has shape {show(prediction)} and the target {show(target)}; "
                f"they must be equal, axes of length 1 aside."
            )
        return ()


class OfDifference(ElementwiseLoss):
    """A loss of the differences d = p − t alone: ∂J/∂p = ∂J/∂d = −∂J/∂t."""

    #: The scratch arrays like d that ``evaluate`` needs.
    scratch = 1

    def work(self, y: tuple[int, ...], prediction: tuple[int, ...], target: tuple[int, ...]) -> dict[str, Buffer]:
        flat = (size(prediction),)
        return {"slope": Buffer(flat, "saved"), **{f"scratch{k}": Buffer(flat, "forward") for k in range(self.scratch)}}

    @abstractmethod
    def evaluate(self, y: Array, p: Array, t: Array, slope: Array, *scratch: Array) -> None:
        """Write J into ``y`` and ∂J/∂d into ``slope``, for flat p and t."""

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        p, t, dp, dt = map(flat, (*arrays[:2], *arrays[3:]))
        slope, dy, scratch = work["slope"], arrays[2], [work[f"scratch{k}"] for k in range(self.scratch)]

        def backward() -> None:
            if dp is not None:
                np.multiply(slope, dy, out=dp)
            if dt is not None:
                np.multiply(slope, dy, out=dt)
                np.negative(dt, out=dt)

        return (lambda: self.evaluate(y, p, t, slope, *scratch)), backward


class SquaredError(OfDifference):
    """J = Σₙ Σⱼ (pₙⱼ − tₙⱼ)²;   ∂J/∂p = 2 (p − t).   Source: Bishop, PRML, 2006, section 1.1."""

    label, cost, scratch = "squared error", 3, 0

    def evaluate(self, y: Array, p: Array, t: Array, slope: Array, *scratch: Array) -> None:
        np.subtract(p, t, out=slope)
        np.dot(slope, slope, out=y)
        np.multiply(slope, 2, out=slope)


class AbsoluteError(OfDifference):
    """J = Σₙ Σⱼ |pₙⱼ − tₙⱼ|;   ∂J/∂p = sign(p − t), 0 where they are equal.

    Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2009, section 10.6.
    """

    label, cost = "absolute error", 3

    def evaluate(self, y: Array, p: Array, t: Array, slope: Array, *scratch: Array) -> None:
        (difference,) = scratch
        np.subtract(p, t, out=difference)
        np.sign(difference, out=slope)
        np.dot(slope, difference, out=y)


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

    def evaluate(self, y: Array, p: Array, t: Array, slope: Array, *scratch: Array) -> None:
        difference, half = scratch
        np.subtract(p, t, out=difference)
        np.minimum(difference, self.delta, out=slope)
        np.maximum(slope, -self.delta, out=slope)
        np.multiply(slope, 0.5, out=half)
        np.subtract(difference, half, out=difference)
        np.dot(slope, difference, out=y)


class BinaryCrossEntropy(ElementwiseLoss):
    """J = −Σₙ [tₙ ln σ(zₙ) + (1 − tₙ) ln(1 − σ(zₙ))], on logits z and targets t in [0, 1].

    ∂J/∂z = σ(z) − t,   ∂J/∂t = −z.

    Computed as Σ max(z, 0) − z t + ln(1 + e^−|z|), which overflows for no z. Source: Bishop, PRML, 2006, section 4.3.2.
    """

    label, cost = "binary cross-entropy", 6

    def work(self, y: tuple[int, ...], logits: tuple[int, ...], target: tuple[int, ...]) -> dict[str, Buffer]:
        flat = (size(logits),)
        parts = {"a": Buffer(flat, "forward"), "b": Buffer(flat, "forward")}
        return parts | {"scratch": Buffer((2, *flat), "backward")}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        z, t, dz, dt = map(flat, (*arrays[:2], *arrays[3:]))
        a, b, dy = work["a"], work["b"], arrays[2]

        def forward() -> None:
            softplus(z, a, b)
            np.multiply(z, t, out=b)
            np.subtract(a, b, out=a)
            np.add.reduce(a, out=y)

        def backward() -> None:
            if dt is not None:
                np.multiply(z, -dy, out=dt)
            if dz is not None:
                sigmoid(z, dz, work["scratch"])
                np.subtract(dz, t, out=dz)
                np.multiply(dz, dy, out=dz)

        return forward, backward
