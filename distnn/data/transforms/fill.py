"""Numbers in the place of missing ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from distnn.arrays import Array
from distnn.data.transforms.exploration import COUNT, MEAN, MISSING, Exploration, Spread, missing
from distnn.data.transforms.transform import State, Transform
from distnn.errors import UsageError


@dataclass(frozen=True)
class Fill(Transform, kind="fill"):
    """A value for each missing number, which is NaN: the mean of the same feature over the training samples, or given.

    With an ``indicator`` a sample (F,) becomes (F + M,): M further columns, for those of its features of which the
    training samples lack some, in their order; 1 where the number was missing, else 0 (scikit-learn's
    ``SimpleImputer(add_indicator=True)``).

    Raises:
        UsageError: if a feature has no number at all, whose mean is wanted; or an indicator is wanted of what isn't a
            table.
    """

    fields: ClassVar[tuple[str, ...]] = ("x",)
    state: ClassVar[tuple[str, ...]] = ("value", "lacking")
    fills: ClassVar[bool] = True

    #: a number, or mean: of the same feature over the training samples (a median would take more than one pass)
    value: float | Literal["mean"] = "mean"
    #: a number that stands for a missing one as well, such as -999; as it is once an attribute scale has been applied
    missing: float | None = None
    indicator: bool = False  #: add a column of 0 and 1 for each feature of which some are missing

    @property
    def widens(self) -> bool:  # type: ignore[override]
        """With indicators."""
        return self.indicator

    def check(self, shape: tuple[int, ...]) -> None:
        if self.indicator and len(shape) != 1:
            raise UsageError(
                f"Fill: indicator = true is for tables, whose samples are rows, but these have the shape {shape}."
            ).at("indicator")

    def exploration(self, shape: tuple[int, ...]) -> Exploration | None:
        return Spread(shape, missing=self.missing) if self.value == "mean" or self.indicator else None

    def fit(self, found: Any, shape: tuple[int, ...]) -> State:
        if found is None:
            return {"value": np.full(shape, self.value, np.float64), "lacking": np.zeros(shape, np.bool_)}
        counts = found[COUNT]
        if self.value == "mean" and (counts == 0).any():
            raise UsageError(
                f"fill: feature {int(np.argmin(counts))} is missing in all training samples, so it has no mean; leave "
                f"it out, or give a value."
            )
        value = found[MEAN] if self.value == "mean" else np.full(len(counts), self.value, np.float64)
        return {"value": value.reshape(shape), "lacking": (found[MISSING] > 0).reshape(shape)}

    def remarks(self, state: State) -> list[str]:
        some, every = int(state["lacking"].sum()), state["lacking"].size
        return [f"{some} of {every} features have missing numbers"] if some else []

    def shape(self, shape: tuple[int, ...], state: State) -> tuple[int, ...]:
        return (shape[0] + int(state["lacking"].sum()),) if self.indicator else shape

    def apply(self, x: Array, out: Array, state: State) -> None:
        lacking = missing(x, self.missing)
        values = out
        if self.indicator:
            values, indicators = out[:, : x.shape[1]], out[:, x.shape[1] :]
            np.copyto(indicators, lacking[:, state["lacking"]])
        if values is not x:
            np.copyto(values, x)
        np.copyto(values, state["value"], where=lacking)
