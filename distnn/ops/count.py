"""Counts for the metrics, summed over the batch: how much of it is classified right."""

from __future__ import annotations

from typing import Any

import numpy as np

from distnn.arrays import Array, size
from distnn.ops.classification import OverClasses
from distnn.ops.loss import ElementwiseLoss
from distnn.ops.op import Closures, Work, nothing


class CorrectClasses(OverClasses):
    """The number of labels whose logit is their row's largest; of equal ones the first counts.

    logits (N, …, C), labels (N, …) → (). No gradient flows through it.

    Arguments:
        ignore: a label that is never counted, or None.
    """

    differentiable = False

    def __init__(self, ignore: int | None = None) -> None:
        self.ignore = ignore

    @property
    def label(self) -> str:
        return "correct"

    def work(self, y: tuple[int, ...], logits: tuple[int, ...], labels: tuple[int, ...]) -> dict[str, Work]:
        best = Work(labels, "forward", np.intp)
        return {"best": best, **{name: Work(labels, "forward", np.bool_) for name in ("hit", "kept")}}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        logits, labels = arrays[:2]
        best, hit, kept = work["best"], work["hit"], work["kept"]

        def forward() -> None:
            logits.argmax(axis=-1, out=best)
            np.equal(best, labels, out=hit)
            if self.ignore is not None:
                np.not_equal(labels, self.ignore, out=kept)
                np.logical_and(hit, kept, out=hit)
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
