"""Losses, each the SUM over the samples of the batch: shards of any sizes then add up exactly, and the one division
by the number of samples happens after the reduction over the ranks. Counts for the metrics stand beside them.

Logits and targets may carry axes of length 1 after the batch: (N, 1) and (N,) mean the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from distnn.errors import ShapeError
from distnn.ops.activation import sigmoid
from distnn.ops.op import Array, Closures, Op, Shape, Work, nothing, show, size


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


class SquaredError(ElementwiseLoss):
    """J = Σₙ Σⱼ (pₙⱼ − tₙⱼ)²;   ∂J/∂p = 2 (p − t).   Source: Bishop, PRML, 2006, section 1.1."""

    @property
    def label(self) -> str:
        return "squared error"

    def flops(self, y: tuple[int, ...], prediction: tuple[int, ...], target: tuple[int, ...]) -> int:
        return 3 * size(prediction)

    def work(self, y: tuple[int, ...], prediction: tuple[int, ...], target: tuple[int, ...]) -> dict[str, Work]:
        return {"difference": Work((size(prediction),), "saved")}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        prediction, target, dy, dprediction, dtarget = arrays
        p, t, difference = prediction.reshape(-1), target.reshape(-1), work["difference"]

        def forward() -> None:
            np.subtract(p, t, out=difference)
            np.dot(difference, difference, out=y)

        def backward() -> None:
            np.multiply(difference, 2, out=difference)
            if dprediction is not None:
                np.multiply(difference, dy, out=dprediction.reshape(-1))
            if dtarget is not None:
                np.multiply(difference, -dy, out=dtarget.reshape(-1))

        return forward, backward


class BinaryCrossEntropy(ElementwiseLoss):
    """J = −Σₙ [tₙ ln σ(zₙ) + (1 − tₙ) ln(1 − σ(zₙ))], on logits z and targets t in [0, 1].

    ∂J/∂z = σ(z) − t,   ∂J/∂t = −z.

    Computed as Σ max(z, 0) − z t + ln(1 + e^−|z|), which overflows for no z. Source: Bishop, PRML, 2006, section 4.3.2.
    """

    @property
    def label(self) -> str:
        return "binary cross-entropy"

    def flops(self, y: tuple[int, ...], logits: tuple[int, ...], target: tuple[int, ...]) -> int:
        return 6 * size(logits)

    def work(self, y: tuple[int, ...], logits: tuple[int, ...], target: tuple[int, ...]) -> dict[str, Work]:
        flat = (size(logits),)
        return {"a": Work(flat, "forward"), "b": Work(flat, "forward")}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        logits, target, dy, dlogits, dtarget = arrays
        z, t, a, b = logits.reshape(-1), target.reshape(-1), work["a"], work["b"]
        dz = None if dlogits is None else dlogits.reshape(-1)
        dt = None if dtarget is None else dtarget.reshape(-1)

        def forward() -> None:
            np.abs(z, out=a)
            np.negative(a, out=a)
            np.exp(a, out=a)
            np.log1p(a, out=a)
            np.maximum(z, 0, out=b)
            np.add(a, b, out=a)
            np.multiply(z, t, out=b)
            np.subtract(a, b, out=a)
            np.add.reduce(a, out=y)

        def backward() -> None:
            if dt is not None:
                np.multiply(z, -dy, out=dt)
            if dz is not None:
                sigmoid(z, out=dz)
                np.subtract(dz, t, out=dz)
                np.multiply(dz, dy, out=dz)

        return forward, backward


class _OverClasses(Op):
    """An op of logits (N, C) and integer labels (N,)."""

    def shape(self, logits: Shape, labels: Shape) -> Shape:
        if len(logits) != 2 or len(labels) != 1 or logits[0] != labels[0]:
            raise ShapeError(
                f"{self.label}: logits {show(logits)} and labels {show(labels)} do not fit; expected (N, C) and (N,)."
            )
        return ()

    def flops(self, y: tuple[int, ...], logits: tuple[int, ...], labels: tuple[int, ...]) -> int:
        return 5 * size(logits)


class CrossEntropy(_OverClasses):
    """J = −Σₙ ln softmax(zₙ)[tₙ], on logits z (N, C) and labels t (N,) in 0 … C−1;   ∂J/∂z = softmax(z) − onehot(t).

    The row's maximum is subtracted first, so that no exponential overflows. Source: Bishop, PRML, 2006, section 4.3.4.
    """

    onnx = "SoftmaxCrossEntropyLoss"

    @property
    def label(self) -> str:
        return "cross-entropy"

    def work(self, y: tuple[int, ...], logits: tuple[int, ...], labels: tuple[int, ...]) -> dict[str, Work]:
        n = logits[0]
        return {
            "p": Work(logits, "saved"),
            "index": Work((n,), "saved", np.intp),
            "picked": Work((n,), "saved"),
            "row": Work((n, 1), "forward"),
            "total": Work((1,), "forward"),
        }

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        z, labels, dy, dz, _ = arrays
        p, index, picked, row, total = (work[name] for name in ("p", "index", "picked", "row", "total"))
        starts = np.arange(0, z.size, z.shape[1], dtype=np.intp)  # of each row in the flat array
        flat = p.reshape(-1)

        def forward() -> None:
            np.maximum.reduce(z, axis=1, keepdims=True, out=row)
            np.subtract(z, row, out=p)
            np.add(labels, starts, out=index)
            np.take(flat, index, out=picked, mode="clip")  # "raise" would copy through a buffer
            np.exp(p, out=p)
            np.add.reduce(p, axis=1, keepdims=True, out=row)
            np.divide(p, row, out=p)
            np.log(row, out=row)
            np.add.reduce(row, out=total)
            np.add.reduce(picked, out=y)
            np.subtract(total[0], y, out=y)

        def backward() -> None:
            np.take(flat, index, out=picked, mode="clip")
            np.subtract(picked, 1, out=picked)
            np.put(flat, index, picked, mode="clip")
            np.multiply(p, dy, out=dz)

        return forward, backward


class CorrectClasses(_OverClasses):
    """The number of samples whose largest logit is their label's; of equal ones the first counts.

    logits (N, C), labels (N,) → (). No gradient flows through it.
    """

    differentiable = False

    @property
    def label(self) -> str:
        return "correct"

    def work(self, y: tuple[int, ...], logits: tuple[int, ...], labels: tuple[int, ...]) -> dict[str, Work]:
        return {"best": Work((logits[0],), "forward", np.intp), "hit": Work((logits[0],), "forward", np.bool_)}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        logits, labels = arrays[:2]
        best, hit = work["best"], work["hit"]

        def forward() -> None:
            np.argmax(logits, axis=1, out=best)
            np.equal(best, labels, out=hit)
            y[()] = np.count_nonzero(hit)

        return forward, nothing


class CorrectBinary(ElementwiseLoss):
    """The number of samples on their label's side of the threshold σ(z) ≥ 0.5, that is z ≥ 0.

    logits (N,) or (N, 1), labels (N,) in {0, 1} → (). No gradient flows through it.
    """

    differentiable = False

    @property
    def label(self) -> str:
        return "correct"

    def work(self, y: tuple[int, ...], logits: tuple[int, ...], labels: tuple[int, ...]) -> dict[str, Work]:
        n = (size(logits),)
        return {"above": Work(n, "forward", np.bool_), "hit": Work(n, "forward", np.bool_)}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        z, labels = arrays[0].reshape(-1), arrays[1].reshape(-1)
        above, hit = work["above"], work["hit"]

        def forward() -> None:
            np.greater_equal(z, 0, out=above)
            np.equal(above, labels, out=hit)
            y[()] = np.count_nonzero(hit)

        return forward, nothing
