"""Labels that are any integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import MinLen

from distnn.arrays import Array
from distnn.data.transforms.exploration import Distinct, Exploration
from distnn.data.transforms.transform import State, Transform, refuse
from distnn.errors import UsageError

#: The largest integer up to which float64 holds all.
EXACT = 2**53


@dataclass(frozen=True)
class ShiftLabels(Transform, kind="shift_labels"):
    """Labels that are any integers, such as 1..10 or ±1, as 0..C − 1 in ascending order: the place of each among them.

    The labels are those of the training samples, or given; others are refused.

    Raises:
        UsageError: if they aren't integers, or no label is there twice in the list.
    """

    fields: ClassVar[tuple[str, ...]] = ("y",)
    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    state: ClassVar[tuple[str, ...]] = ("labels",)

    #: the labels in ascending order; those of the training samples if not given
    labels: Annotated[Sequence[int], MinLen(2), "a list of two or more integers, such as [-1, 1]"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.labels is not None and list(self.labels) != sorted({*self.labels}):
            raise UsageError(f"ShiftLabels: labels is {list(self.labels)}; expected it in ascending order.").at(
                "labels"
            )

    def exploration(self, shape: tuple[int, ...]) -> Exploration | None:
        return Distinct() if self.labels is None else None

    def fit(self, found: Any, shape: tuple[int, ...]) -> State:
        labels = found[0] if self.labels is None else np.array(self.labels, np.float64)
        if (labels != np.rint(labels)).any() or np.abs(labels).max(initial=0) > EXACT:
            bad = labels[(labels != np.rint(labels)) | (np.abs(labels) > EXACT)][0]
            raise UsageError(f"shift_labels: {bad:g} is among the labels; expected integers up to 2^53.")
        return {"labels": labels}

    def remarks(self, state: State) -> list[str]:
        labels = [int(label) for label in state["labels"]]
        shown = ", ".join(map(str, labels[:8])) + (f", …, {labels[-1]}" if len(labels) > 8 else "")
        return [f"the labels {shown} become 0..{len(labels) - 1}"]

    def apply(self, x: Array, out: Array, state: State) -> None:
        labels = state["labels"]
        places = np.minimum(np.searchsorted(labels, x), len(labels) - 1)
        why = "is the label {value}, which no training sample has; correct it, or name all in labels = [...]"
        known = labels[places] == x
        refuse(~(known | np.isnan(x)), x, why)  # what has no weight is NaN
        np.copyto(out, np.where(known, places, 0))


def places(values: Array, labels: Array) -> Array:
    """Of labels their places among those that are known, −1 for others."""
    found = np.minimum(np.searchsorted(labels, values), len(labels) - 1)
    return np.where(labels[found] == values, found, -1)
