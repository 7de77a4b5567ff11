"""Columns of categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import MinLen

from distnn.arrays import Array
from distnn.data.transforms.exploration import Distinct, Exploration
from distnn.data.transforms.transform import RefusedError, State, Transform
from distnn.errors import UsageError
from distnn.registry import CountOrZero

#: Categories of a column at most: more are hardly categories.
MOST = 1_000


@dataclass(frozen=True)
class OneHot(Transform, kind="one_hot"):
    """Columns of integers for categories as a column of 0 and 1 for each category: 1 where it is the sample's.

    A sample (F,) becomes its other columns, in their order, and then, for each of these columns, one for each of the
    integers that the training samples have there, in ascending order.

    Raises:
        UsageError: for samples that aren't rows, or have no such column; or if a column holds other numbers than
            integers, or very many.
    """

    fields: ClassVar[tuple[str, ...]] = ("x",)
    state: ClassVar[tuple[str, ...]] = ("categories", "edges")
    widens: ClassVar[bool] = True

    #: which columns, counted from 0
    columns: Annotated[Sequence[CountOrZero], MinLen(1), "a list of one or more column numbers, such as [0, 3]"]
    #: what a category does that no training sample has: error: end with an error; zeros: no column is 1
    unknown: Literal["error", "zeros"] = "error"

    def check(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 1:
            raise UsageError(f"OneHot: columns are of tables, whose samples are rows; these are {shape}.").at("columns")
        twice = len({*self.columns}) < len(self.columns)
        if twice or max(self.columns) >= shape[0]:
            what = "a column twice" if twice else f"column {max(self.columns)}"
            raise UsageError(f"OneHot: columns names {what}; expected some of 0..{shape[0] - 1}.").at("columns")

    def exploration(self, shape: tuple[int, ...]) -> Exploration:
        return Distinct(tuple(self.columns), MOST)

    def fit(self, found: Any, shape: tuple[int, ...]) -> State:
        for column, values in zip(self.columns, found, strict=True):
            if len(values) > MOST or (values != np.rint(values)).any():
                what = f"more than {MOST} different numbers" if len(values) > MOST else "other numbers than integers"
                raise UsageError(f"one_hot: column {column} holds {what}; expected integers for categories.")
        edges = np.cumsum([0, *map(len, found)])
        return {"categories": np.concatenate(found), "edges": edges.astype(np.float64)}

    def remarks(self, state: State) -> list[str]:
        counts = ", ".join(f"column {c} has {b - a:g}" for c, (a, b) in self._places(state))
        return [f"categories: {counts}"]

    def _places(self, state: State) -> list[tuple[int, tuple[int, int]]]:
        """Each of the columns, with where its categories are."""
        edges = state["edges"].astype(int).tolist()
        return list(zip(self.columns, pairwise(edges), strict=True))

    def shape(self, shape: tuple[int, ...], state: State) -> tuple[int, ...]:
        return (shape[0] - len(self.columns) + len(state["categories"]),)

    def apply(self, x: Array, out: Array, state: State) -> None:
        others = [column for column in range(x.shape[1]) if column not in self.columns]
        out[:, : len(others)] = x[:, others]
        for column, (start, stop) in self._places(state):
            here = out[:, len(others) + start : len(others) + stop]
            np.equal(x[:, column, None], state["categories"][start:stop], out=here)
            unknown = here.sum(1) == 0
            if self.unknown == "error" and unknown.any():
                sample = int(np.argmax(unknown))
                why = f'is {x[sample, column]:g}, a category that no training sample has; unknown = "zeros" takes it'
                raise RefusedError((sample, column), why)
