"""Losses and counts of class labels: logits (N, …, C) with integer labels (N, …), one for each sample or position.

A loss is the SUM over samples and positions. For a mean it is divided by `LabelWeight`, also summed over the
shards: the number of labels or, with class weights or an ignored label, the weight of those that count.

A further input are weights w ≥ 0 of the samples (N,), or of the labels (N, …), by which each term is multiplied, in the
`LabelWeight` too. What has the weight 0 is left out like an ignored label. No gradient flows to the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show, size
from distnn.errors import DataError, ShapeError, UsageError
from distnn.kernels.loading import joined
from distnn.kernels.softmax import shift
from distnn.ops.activation import sigmoid
from distnn.ops.loss import ElementwiseLoss, check_weights, parted
from distnn.ops.op import Buffer, Closure, Closures, Op, nothing, together, within

#: Elements of the rows that are summed at a time, in numpy.
AT_ONCE = 2**14


def _integers(labels: Array) -> Array:
    """Labels (N, …) as (N,).

    Raises:
        UsageError: if they are no integers.
    """
    if labels.dtype.kind not in "iu":
        raise UsageError(f"labels of the type {labels.dtype}; expected integers: an input made with integer=True.")
    return labels.reshape(-1)


def _known(labels: Array, classes: int) -> Closure:
    """A closure that refuses labels that are none of the classes."""
    return within(labels, classes, "label", "correct the labels, or leave one of them out with ignore_label")


class OverClasses(Op):
    """An op of logits (N, …, C), integer labels (N, …), and perhaps weights."""

    cost = 5

    def shape(self, logits: Shape, labels: Shape, *weights: Shape) -> Shape:
        if len(logits) < 2 or labels != logits[:-1]:
            raise ShapeError(
                f"{self.label}: logits {show(logits)} and labels {show(labels)} do not fit; expected (N, C) and (N,), "
                f"or for sequences (N, T, C) and (N, T)."
            )
        check_weights(self.label, labels, weights)
        return ()


class CrossEntropy(OverClasses):
    """J = −Σₙ ln softmax(zₙ)[tₙ], on logits z (N, …, C) and labels t (N, …) in 0 … C−1.

    ∂J/∂z = softmax(z) − onehot(t). The row's maximum is subtracted first, so that no exponential overflows.
    Source: Bishop, PRML, 2006, section 4.3.4.

    It takes no weights of samples: `WeightedCrossEntropy` does.

    Raises:
        UsageError: by ``bind``, for labels that are no integers.
        DataError: by forward, for a label outside.
    """

    label, joins = "cross-entropy", "softmax"

    def work(self, y: tuple[int, ...], logits: tuple[int, ...], labels: tuple[int, ...]) -> dict[str, Buffer]:
        n, classes = size(labels), logits[-1]
        return {
            "p": Buffer((n, classes), "saved"),
            "index": Buffer((n,), "saved", np.intp),
            "picked": Buffer((n,), "saved"),
            "row": Buffer((n,), "forward"),
            "scratch": Buffer((min(n, max(1, AT_ONCE // classes)), classes), "forward"),
            "total": Buffer((), "forward"),
        }

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        logits, labels, dy, dlogits, _ = arrays
        p, index, picked, row, total = (work[name] for name in ("p", "index", "picked", "row", "total"))
        z, t, kernels = logits.reshape(p.shape), _integers(labels), joined(self.joins)
        check = _known(labels, p.shape[1])
        starts = np.arange(0, p.size, p.shape[1], dtype=np.intp)  # of each row in the flat array

        def forward() -> None:
            check()
            kernels.shift(z, t, starts, p, index, picked, row)
            np.exp(p, out=p)
            kernels.normalise(p, row, work["scratch"])
            np.log(row, out=row)
            np.add.reduce(row, out=total)
            np.add.reduce(picked, out=y)
            np.subtract(total, y, out=y)

        if dlogits is None:
            return forward, nothing
        dz, scale = dlogits.reshape(p.shape), dy.reshape(1)
        return forward, lambda: kernels.slopes(p, index, scale, picked, dz)


class LabelWeight(Op):
    """Σₙ wₙ: the weight of the labels (N, …), their number by default, times those given. No gradient flows through it.

    A label weighs as its class does, 1 without class weights, and the ignored label 0. A weighted loss divided by this
    sum, both summed over all shards, is the mean as PyTorch's ``reduction="mean"`` has it.

    Arguments:
        weights: one for each class, or None.
        ignore: the label that doesn't count, which may lie outside of 0 … C−1, or None.

    Raises:
        UsageError: for weights that aren't numbers of at least 0.
    """

    label, differentiable = "weight", False

    def __init__(self, weights: Sequence[float] | Array | None = None, ignore: int | None = None) -> None:
        self.weights = None if weights is None else np.array(weights, np.float64)
        if self.weights is not None and (self.weights.ndim != 1 or not np.all(self.weights >= 0)):
            raise UsageError(f"class weights are {weights}; expected a number of at least 0 for each class.")
        self.ignore = ignore

    def shape(self, labels: Shape, *weights: Shape) -> Shape:
        check_weights(self.label, labels, weights)
        return ()

    def work(self, y: tuple[int, ...], labels: tuple[int, ...], *weights: tuple[int, ...]) -> dict[str, Buffer]:
        kinds: dict[str, type | None] = {"index": np.intp, "dropped": np.bool_, "weight": None}
        if weights:
            kinds["given"] = None
        return {name: Buffer((size(labels),), "saved", kind) for name, kind in kinds.items()}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        weights, weight = self.weights, work["weight"]
        labels, *given = arrays[: len(arrays) // 2]
        weigh = self.weigh(work, labels, None if weights is None else len(weights), *given)
        if given:
            return together([weigh, lambda: np.dot(weight, work["given"], out=y)]), nothing
        return together([weigh, lambda: np.add.reduce(weight, out=y)]), nothing

    def weigh(self, work: dict[str, Array], labels: Array, classes: int | None, given: Array | None = None) -> Closure:
        """A closure that fills `work`: which labels don't count, and each label and weight, 0 for those that don't;
        and each given weight, if there are any.

        It refuses labels that count and are none of so many ``classes``, if their number is given.
        """
        index, dropped, weight = work["index"], work["dropped"], work["weight"]
        t = _integers(labels)
        check = nothing if classes is None else _known(index.reshape(labels.shape), classes)
        weights = None if self.weights is None else self.weights.astype(weight.dtype)
        each, rows = work.get("given"), len(labels)

        def drop() -> None:
            if self.ignore is None:
                dropped.fill(False)
            else:
                np.equal(t, self.ignore, out=dropped)
            if each is not None and given is not None:
                np.copyto(each.reshape(rows, -1), given.reshape(rows, -1))
                np.copyto(each, 0, where=dropped)
                np.equal(each, 0, out=dropped)

        def weigh() -> None:
            drop()
            np.copyto(index, t)
            np.copyto(index, 0, where=dropped)
            check()
            if weights is None:
                weight.fill(1)
            else:
                weights.take(index, out=weight, mode="clip")
            np.copyto(weight, 0, where=dropped)

        return weigh


class WeightedCrossEntropy(OverClasses):
    """J = Σₙ (1 − ε) wₜ (−ln pₙₜ) + (ε / C) Σⱼ wⱼ (−ln pₙⱼ) over the labels t that count, with p = softmax(zₙ).

    With W = Σⱼ wⱼ:   ∂J/∂zⱼ = ((1 − ε) wₜ + ε W / C) pⱼ − (1 − ε) wₜ [j = t] − (ε / C) wⱼ.

    z (N, …, C), labels (N, …). The same as torch.nn.functional.cross_entropy; for its mean divide by `LabelWeight` with
    the same weights and ignored label. Source of ε: Szegedy et al., Rethinking the Inception Architecture, 2016.

    With weights of the samples or labels, each one's term and its derivative are multiplied by its own.

    Arguments:
        weights: w, one for each class; all 1 if None.
        smoothing: ε from 0 to 1.
        ignore: the label that doesn't count, which may lie outside of 0 … C−1, or None.

    Raises:
        UsageError: for values outside their ranges.
    """

    label = "weighted cross-entropy"

    def __init__(
        self, weights: Sequence[float] | Array | None = None, smoothing: float = 0.0, ignore: int | None = None
    ) -> None:
        if not 0 <= smoothing <= 1:
            raise UsageError(f"cross-entropy: smoothing is {smoothing}; expected a number from 0 to 1.")
        self.smoothing = smoothing
        self.weighing = LabelWeight(weights, ignore)

    def shape(self, logits: Shape, labels: Shape, *weights_given: Shape) -> Shape:
        super().shape(logits, labels, *weights_given)
        weights = self.weighing.weights
        if weights is not None and weights.shape != logits[-1:]:
            raise ShapeError(
                f"{self.label}: {len(weights)} class weights for logits of {logits[-1]} classes; give each one."
            )
        return ()

    def work(
        self, y: tuple[int, ...], logits: tuple[int, ...], labels: tuple[int, ...], *weights: tuple[int, ...]
    ) -> dict[str, Buffer]:
        n = size(labels)
        return self.weighing.work(y, labels, *weights) | {
            "p": Buffer((n, logits[-1]), "saved"),
            "scale": Buffer((n, 1), "backward"),
            "picked": Buffer((n,), "saved"),
            "row": Buffer((n,), "forward"),
            "spread": Buffer((n,), "forward"),
        }

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        (logits, labels, *given), dy, (dlogits, _) = parted(arrays)
        p, weights = work["p"], self.weighing.weights
        classes = np.ones(p.shape[1], p.dtype) if weights is None else weights.astype(p.dtype)
        weigh, z = self.weighing.weigh(work, labels, p.shape[1], *given), logits.reshape(p.shape)
        forward = self._forward(work, y, z, classes)
        backward = nothing if dlogits is None else self._backward(work, classes, dy, dlogits.reshape(p.shape))
        return together([weigh, forward]), backward

    def _forward(self, work: dict[str, Array], y: Array, z: Array, classes: Array) -> Closure:
        p, index, dropped, weight = (work[name] for name in ("p", "index", "dropped", "weight"))
        row, spread, picked, each = work["row"], work["spread"], work["picked"], work.get("given")
        starts, total = np.arange(0, p.size, p.shape[1], dtype=np.intp), float(classes.sum())

        def forward() -> None:
            shift(z, index, starts, p, index, picked, row)
            if self.smoothing:
                np.dot(p, classes, out=spread)
            np.exp(p, out=p)
            np.add.reduce(p, axis=1, out=row)
            np.divide(p, row[:, None], out=p)
            np.log(row, out=row)
            np.subtract(row, picked, out=picked)
            np.multiply(picked, weight, out=picked)
            np.multiply(picked, 1 - self.smoothing, out=picked)
            if self.smoothing:  # 0 times the −ln p of a class whose logit is −∞ would be NaN
                np.multiply(row, total, out=row)
                np.subtract(row, spread, out=spread)
                np.multiply(spread, self.smoothing / len(classes), out=spread)
                np.add(picked, spread, out=picked)
            np.copyto(picked, 0, where=dropped)
            if each is not None:
                np.multiply(picked, each, out=picked)
            np.add.reduce(picked, out=y)

        return forward

    def _backward(self, work: dict[str, Array], classes: Array, dy: Array, dz: Array) -> Closure:
        p, index, weight, picked = (work[name] for name in ("p", "index", "weight", "picked"))
        scale, flat, dropped = work["scale"], p.reshape(-1), work["dropped"].reshape(-1, 1)
        share = classes * (self.smoothing / len(classes))
        total, each = float(share.sum()), work.get("given")

        def backward() -> None:
            np.multiply(weight, 1 - self.smoothing, out=weight)
            np.add(weight.reshape(scale.shape), total, out=scale)
            np.multiply(p, scale, out=p)
            flat.take(index, out=picked, mode="clip")
            np.subtract(picked, weight, out=picked)
            flat.put(index, picked, mode="clip")
            if self.smoothing:
                np.subtract(p, share, out=p)
            np.multiply(p, dy, out=dz)
            np.copyto(dz, 0, where=dropped)  # not a product: a logit there may be infinite or NaN
            if each is not None:
                np.multiply(dz, each.reshape(scale.shape), out=dz)

        return backward


class CorrectClasses(OverClasses):
    """The number of labels whose logit is their row's largest, or their weight; of equal ones the first counts.

    logits (N, …, C), labels (N, …) → (). No gradient flows through it.

    Arguments:
        ignore: a label that is never counted, or None.
    """

    label, differentiable = "correct", False

    def __init__(self, ignore: int | None = None) -> None:
        self.ignore = ignore

    def work(
        self, y: tuple[int, ...], logits: tuple[int, ...], labels: tuple[int, ...], *weights: tuple[int, ...]
    ) -> dict[str, Buffer]:
        best = Buffer(labels, "forward", np.intp)
        hits = {name: Buffer(labels, "forward", np.bool_) for name in ("hit", "kept")}
        return {"best": best} | hits | ({"weight": Buffer(labels, "forward")} if weights else {})

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        logits, labels, *weights = arrays[: len(arrays) // 2]
        best, hit, kept = work["best"], work["hit"], work["kept"]
        count = _counted(hit, y, work, weights)

        def forward() -> None:
            logits.argmax(axis=-1, out=best)
            np.equal(best, labels, out=hit)
            if self.ignore is not None:
                np.not_equal(labels, self.ignore, out=kept)
                np.logical_and(hit, kept, out=hit)
            count()

        return forward, nothing


def _counted(hit: Array, y: Array, work: dict[str, Array], weights: Sequence[Array]) -> Closure:
    """A closure that writes to ``y`` how many are hits, or the weight of those that are."""
    if not weights:
        return lambda: np.copyto(y, np.count_nonzero(hit))
    weight, rows = work["weight"], (len(hit), -1)

    def weigh() -> None:
        np.multiply(hit.reshape(rows), weights[0].reshape(rows), out=weight.reshape(rows))
        np.add.reduce(weight, axis=None, out=y)

    return weigh


class CorrectBinary(ElementwiseLoss):
    """The number of samples whose likelier class is their label, or their weight: 1 where σ(z) > 0.5, else 0.

    logits (N,) or (N, 1), labels (N,) in {0, 1} → (). No gradient flows through it. It asks σ(z), rather than z > 0, to
    count as metrics do, which only have the probability: just above 0, σ(z) is rounded to 0.5. Of two equal ones the
    first class is taken, as of several.

    Raises:
        DataError: by forward, for a label outside.
    """

    label, differentiable = "correct", False

    def work(
        self, y: tuple[int, ...], logits: tuple[int, ...], labels: tuple[int, ...], *weights: tuple[int, ...]
    ) -> dict[str, Buffer]:
        n = (size(logits),)
        found = {"above": Buffer(n, "forward", np.bool_), "hit": Buffer(n, "forward", np.bool_)}
        found |= {"p": Buffer(n, "forward"), "scratch": Buffer((2, *n), "forward")}
        return found | ({"weight": Buffer(n, "forward")} if weights else {})

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        z, labels, *weights = arrays[: len(arrays) // 2]
        z, labels = z.reshape(-1), labels.reshape(-1)
        above, hit, p = work["above"], work["hit"], work["p"]
        count = _counted(hit, y, work, weights)

        def forward() -> None:
            if np.minimum.reduce(labels, initial=0) < 0 or np.maximum.reduce(labels, initial=0) > 1:
                place = int(np.argmax((labels < 0) | (labels > 1)))
                raise DataError(
                    f"label {labels[place]:g}, at place [{place}] of its batch, is outside 0 … 1; correct it."
                )
            sigmoid(z, p, work["scratch"])
            np.greater(p, 0.5, out=above)
            np.equal(above, labels, out=hit)
            count()

        return forward, nothing
