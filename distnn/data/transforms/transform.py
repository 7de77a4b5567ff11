"""What every transform is: a function of a field's values, with a state that may be fitted, and often its inverse."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from distnn.arrays import Array
from distnn.data.transforms.exploration import Exploration
from distnn.errors import UsageError
from distnn.registry import Family, Registered

#: What a transform was fitted to, by name; float64.
State = Mapping[str, Array]


class RefusedError(Exception):
    """A value that a transform can't take.

    Attributes:
        at: where it is: which of the samples, and where in that.
        why: what it is, and what to do.
    """

    def __init__(self, at: Sequence[int], why: str) -> None:
        super().__init__(why)
        self.at, self.why = tuple(int(place) for place in at), why


class Transform(
    Registered,
    family=Family(
        "transform",
        meaning="which transform",
        about="What is done to the values of a field before they are used: fitted over the training samples, kept in "
        "the checkpoint, and undone in the predictions of a regression.",
    ),
):
    """A kind of transform and its settings, as a run file's ``[transforms]`` has them.

    Values come as float64 (n, …), whatever their type in the file, so that nothing is lost before the transform.

    Attributes:
        fields: those that it serves.
        tasks: whose targets it serves.
        state: the names of what `fit` returns.
        widens: whether samples get another shape.
        fills: whether it takes NaN, and leaves none.
    """

    fields: ClassVar[tuple[str, ...]] = ("x", "y")
    tasks: ClassVar[tuple[str, ...]] = ("regression",)
    state: ClassVar[tuple[str, ...]] = ()
    widens: ClassVar[bool] = False
    fills: ClassVar[bool] = False

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse samples of a shape that it isn't for.

        Raises:
            UsageError: it isn't.
        """

    def exploration(self, shape: tuple[int, ...]) -> Exploration | None:
        """What it is fitted from, for samples of this shape; None if there is nothing to fit."""
        return None

    def fit(self, found: Any, shape: tuple[int, ...]) -> State:
        """Its state, from the exploration's result over all training samples of this shape.

        Raises:
            UsageError: if there is none for them.
        """
        return {}

    def remarks(self, state: State) -> list[str]:
        """What the user should know of its state."""
        return []

    def shape(self, shape: tuple[int, ...], state: State) -> tuple[int, ...]:
        """The shape of a sample that it makes of one of this shape."""
        return shape

    @abstractmethod
    def apply(self, x: Array, out: Array, state: State) -> None:
        """Write the transformed values of x (n, …) to ``out``, which is x itself where the shape stays the same.

        Raises:
            RefusedError: if there are values that it can't take.
        """

    def invert(self, y: Array, state: State) -> None:
        """Undo it, in place, for values (n, …).

        Raises:
            UsageError: if that can't be done.
        """
        raise UsageError(f"transforms: {self.family.named(self)} has no inverse.").at("transforms")


def refuse(bad: Array, values: Array, why: str) -> None:
    """Refuse the first of the bad values, if there is one; in ``why`` a {value} stands for it.

    Raises:
        RefusedError: there is one.
    """
    if bad.any():
        at = np.unravel_index(int(np.argmax(bad)), bad.shape)
        raise RefusedError(at, why.format(value=f"{values[at]:g}"))  # type: ignore[arg-type]


def unvarying(constant: Array, axis: str, to: str) -> list[str]:
    """What to say of features or channels that are the same in all training samples, and become ``to``."""
    places = np.flatnonzero(constant)
    if not len(places):
        return []
    shown = ", ".join(map(str, places[:8])) + (", …" if len(places) > 8 else "")
    what = "all numbers are" if axis == "all" else f"{len(places)} of {constant.size} {axis}s ({shown}) are"
    return [f"{what} the same in all training samples, and become {to}"]
