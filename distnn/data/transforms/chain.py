"""The transforms of a field, one after the other: fitted in turn, and applied without allocating."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from distnn.arrays import Array
from distnn.data.transforms.exploration import Exploration
from distnn.data.transforms.shift_labels import ShiftLabels
from distnn.data.transforms.transform import RefusedError, State, Transform
from distnn.errors import CheckpointError, UsageError

#: Rows are transformed in float64 so many bytes at a time, which stay in a core's cache.
SLAB_BYTES = 128 * 1024


class _Fitted(NamedTuple):
    """A transform with its state, and the shape of the samples that it takes."""

    transform: Transform
    state: State
    shape: tuple[int, ...]


class Chain:
    """The transforms of a field, in the order in which they are applied.

    Each that has to be fitted is so to what the ones before it make of the training samples; all others are ready at
    once. Everything is computed in float64 from the stored type, and rounded once, at the end.

    Arguments:
        field: ``x`` or ``y``.
        transforms: them, in their order.
        shape: of a sample's values in the file.
        scale: what stored numbers are multiplied by first.

    Attributes:
        stored: as ``shape``.
        shape: of a sample's values after the transforms that are fitted.

    Raises:
        UsageError: if one isn't for this field, or for samples of this shape.
    """

    def __init__(
        self, field: str, transforms: Sequence[Transform], shape: tuple[int, ...], scale: float | None = None
    ) -> None:
        self.field, self.shape, self._scale = field, shape, scale
        self.stored = shape
        self._waiting = list(transforms)
        self._fitted: list[_Fitted] = []
        self._buffers: list[Array] = []
        for place, transform in enumerate(transforms):
            if field not in transform.fields:
                only = f"only for {' and '.join(transform.fields)}, not for {field}"
                raise UsageError(f"transforms.{field}: {_name(transform)} is {only}; remove it.").at(
                    "transforms", field, place
                )
        self._advance()

    def _advance(self) -> None:
        """Make ready those that needn't be fitted, up to the next one that does."""
        while self._waiting and self.exploration is None:
            self.fit(None)

    @property
    def exploration(self) -> Exploration | None:
        """What the next transform is to be fitted from; None if all are fitted."""
        if not self._waiting:
            return None
        try:
            self._waiting[0].check(self.shape)
        except UsageError as error:
            error.at("transforms", self.field, len(self._fitted))
            raise
        return self._waiting[0].exploration(self.shape)

    def fit(self, found: Any) -> None:
        """Fit the next transform to what its exploration has found in all training samples.

        Raises:
            UsageError: if it can't be.
        """
        transform = self._waiting[0]
        try:
            state = transform.fit(found, self.shape)
        except UsageError as error:
            error.at("transforms", self.field, len(self._fitted))
            raise
        self._append(self._waiting.pop(0), state)
        self._advance()

    def _append(self, transform: Transform, state: State) -> None:
        self._fitted.append(_Fitted(transform, state, self.shape))
        self.shape = transform.shape(self.shape, state)
        self._buffers = []

    @property
    def known(self) -> bool:
        """Whether the shape of its samples is that of the last transform, whatever is still to be fitted."""
        return not any(transform.widens for transform in self._waiting)

    @property
    def fills(self) -> bool:
        """Whether it takes NaN, and leaves none."""
        return any(each.fills for each in [*self._waiting, *(fitted.transform for fitted in self._fitted)])

    @property
    def labels(self) -> Array | None:
        """The labels that become 0, 1, …, of a field of labels; none until they are known. None for other fields."""
        if any(isinstance(transform, ShiftLabels) for transform in self._waiting):
            return np.empty(0)
        return next((state["labels"] for each, state, _ in self._fitted if isinstance(each, ShiftLabels)), None)

    @property
    def transforms(self) -> list[Transform]:
        """In their order."""
        return [*(transform for transform, *_ in self._fitted), *self._waiting]

    @property
    def names(self) -> list[str]:
        """The kinds of its transforms."""
        return [_name(each) for each in self.transforms]

    @property
    def state(self) -> dict[str, Array]:
        """What the transforms were fitted to, by names such as ``x.0.standardize.mean``."""
        return {
            f"{self._prefix(place, transform)}.{name}": np.asarray(state[name])
            for place, (transform, state, _) in enumerate(self._fitted)
            for name in transform.state
        }

    def _prefix(self, place: int, transform: Transform) -> str:
        return f"{self.field}.{place}.{_name(transform)}"

    def load(self, state: Mapping[str, Array], path: str) -> None:
        """Take over what was fitted before, instead of fitting.

        Raises:
            CheckpointError: if it is of other transforms, or of other samples.
        """
        waiting, self._waiting = self._waiting, []
        for place, transform in enumerate(waiting, len(self._fitted)):
            prefix = self._prefix(place, transform)
            names = [f"{prefix}.{name}" for name in transform.state]
            if missing := [name for name in names if name not in state]:
                raise CheckpointError(
                    f"{path} has no {missing[0]}, which belongs to transforms.{self.field}: it was made with other "
                    f"transforms. Use the run file that it was made with."
                )
            try:
                self._append(transform, {key: state[name] for key, name in zip(transform.state, names, strict=True)})
                self._try()
            except (ValueError, IndexError, TypeError, KeyError) as error:  # numpy's, for shapes that don't fit
                raise CheckpointError(
                    f"{path}: {prefix} doesn't fit samples of the shape {self.stored} ({error}); it was fitted to "
                    f"others. Use the kind of data that it was made with."
                ) from error

    def _try(self) -> None:
        """Apply them to a sample, whose values may be refused; its shape has to fit."""
        with suppress(RefusedError), np.errstate(all="ignore"):
            self.apply(np.ones((1, *self.stored)), np.empty((1, *self.shape)))

    @property
    def remarks(self) -> list[str]:
        """What the user should know of how they were fitted."""
        return [
            f"transforms.{self.field}: {_name(transform)}: {text}."
            for transform, state, _ in self._fitted
            for text in transform.remarks(state)
        ]

    def apply(self, values: Array, out: Array) -> None:
        """Write the transformed values (n, …), of any type, to ``out``, without allocating.

        Raises:
            RefusedError: for values that a transform can't take.
        """
        buffers = self._buffers or self._allocate()
        slab = len(buffers[0])
        for start in range(0, len(values), slab):
            rows = values[start : start + slab]
            now = buffers[0][: len(rows)]
            np.copyto(now, rows, casting="unsafe")
            if self._scale is not None:
                np.multiply(now, self._scale, out=now)
            for (transform, state, _), buffer in zip(self._fitted, buffers[1:], strict=True):
                after = buffer[: len(rows)]
                try:
                    transform.apply(now, after, state)
                except RefusedError as error:
                    raise RefusedError((start + error.at[0], *error.at[1:]), error.why) from None
                now = after
            np.copyto(out[start : start + slab], now, casting="unsafe")

    def _allocate(self) -> list[Array]:
        """A buffer for what is stored, and for each transform its own, or that before it if the shape stays."""
        shapes = [*(shape for _, _, shape in self._fitted), self.shape]
        widest = 8 * max(math.prod(shape) for shape in shapes)
        rows = max(1, SLAB_BYTES // widest)
        for place, shape in enumerate(shapes):
            same = place > 0 and shape == shapes[place - 1]
            self._buffers.append(self._buffers[-1] if same else np.empty((rows, *shape)))
        return self._buffers

    def inverted(self, values: Array) -> Array:
        """Values (n, …) in the field's own units, in float64.

        Raises:
            UsageError: if a transform has no inverse.
        """
        found = values.astype(np.float64).reshape(len(values), *self.shape)
        for transform, state, _ in reversed(self._fitted):
            transform.invert(found, state)
        if self._scale is not None:
            found /= self._scale
        return found.reshape(values.shape)


def _name(transform: Transform) -> str:
    return transform.kind or type(transform).__name__
