"""Windows: what a kernel sees from each position of an image, from what users write to the shape of the output.

Shared by convolutions and pooling. Everything is written for images (N, H, W, C); a sequence (N, L, C) is an image
(N, L, 1, C), so that its positions are the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal, NamedTuple, cast

from distnn.arrays import Shape, show
from distnn.errors import ShapeError, UsageError, nearest

Pair = tuple[int, int]
#: What users write: a word; one length for every side; one for each axis, or (before, after) where there is one axis;
#: or (before, after) for each axis.
Padding = str | int | Sequence[int] | Sequence[Sequence[int]]
Sides = Literal["same", "valid"] | tuple[Pair, Pair]


class Axis(NamedTuple):
    """Windows along one axis: output o sees o · stride + k · dilation − before, for k = 0 … kernel − 1."""

    length: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    @property
    def reach(self) -> int:
        """From a window's first element to its last."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def padded(self) -> int:
        """The length with its padding."""
        return self.length + self.before + self.after

    @property
    def output(self) -> int:
        """The number of windows: ⌊(length + before + after − reach) / stride⌋ + 1."""
        return (self.padded - self.reach) // self.stride + 1

    @property
    def plain(self) -> bool:
        """Whether each window is the one element at its own position."""
        return self.kernel == self.stride == 1 and self.before == self.after == 0

    @property
    def reversible(self) -> bool:
        """Whether there is a `reversed`: for a stride of 1, where no window lies within the padding."""
        return self.stride == 1 and max(self.before, self.after) < self.reach

    def reversed(self) -> Axis:
        """The windows over the output through which each element of the input is seen."""
        most = self.reach - 1
        return Axis(self.output, self.kernel, 1, self.dilation, most - self.before, most - self.after)


Windows = tuple[Axis, Axis]


def lengths(name: str, value: int | Sequence[int], axes: int) -> Pair:
    """A positive number for each of two axes, from one number or one for each; 1 for a missing axis.

    Raises:
        UsageError: for anything else, naming the argument.
    """
    numbers: Any = (value,) * axes if isinstance(value, Integral) else value
    if not _numbers(numbers, axes, 1):
        raise UsageError(f"{name} is {value!r}; expected a number from 1{' or a pair of them' if axes == 2 else ''}.")
    return (int(numbers[0]), int(numbers[1]) if axes == 2 else 1)


def _numbers(value: Any, count: int, least: int) -> bool:
    """Whether ``value`` is a sequence of ``count`` whole numbers, none below ``least``."""
    good = isinstance(value, list | tuple) and len(value) == count
    return good and all(isinstance(number, Integral) and int(number) >= least for number in value)


def sides(value: Padding, axes: int) -> Sides:
    """``same``, ``valid``, or (before, after) for each of two axes.

    Raises:
        UsageError: for anything else, naming what is accepted.
    """
    if isinstance(value, str) and value in ("same", "valid"):
        return cast(Sides, value)
    pairs: Any = value
    if isinstance(value, Integral):
        pairs = [(value, value)] * axes
    elif _numbers(value, 2, 0):
        pairs = [value] if axes == 1 else [(length, length) for length in pairs]
    if not isinstance(pairs, list | tuple) or len(pairs) != axes or not all(_numbers(pair, 2, 0) for pair in pairs):
        hint = nearest(value, ("same", "valid")) if isinstance(value, str) else ""
        several = "(height, width) or ((top, bottom), (left, right))" if axes == 2 else "(before, after)"
        raise UsageError(f"padding is {value!r}{hint}; expected 'same', 'valid', a number from 0, or {several}.")
    (top, bottom), (left, right) = [*pairs, (0, 0)][:2]
    return ((int(top), int(bottom)), (int(left), int(right)))


def windows(image: tuple[Any, ...], kernel: Pair, stride: Pair, dilation: Pair, padding: Sides) -> Windows:
    """The windows over images (N, H, W, C).

    ``same`` gives ⌈length / stride⌉ outputs, as in TensorFlow and Keras: the padding is split evenly, and an odd
    element goes after. Source: https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2.
    """
    axes = []
    for i, length in enumerate(image[1:3]):
        axis = Axis(length, kernel[i], stride[i], dilation[i])
        before = after = 0
        if padding == "same":
            total = max(0, (-(-length // axis.stride) - 1) * axis.stride + axis.reach - length)
            before, after = total // 2, total - total // 2
        elif padding != "valid":
            before, after = padding[i]
        axes.append(axis._replace(before=before, after=after))
    return (axes[0], axes[1])


def image(label: str, x: Shape, axes: int) -> tuple[Any, ...]:
    """The shape of x as an image: a sequence (N, L, C) is an image (N, L, 1, C).

    Raises:
        ShapeError: if it is neither an image nor a sequence of known size.
    """
    if len(x) != axes + 2 or not all(isinstance(length, int) for length in x[1:]):
        expected, cure = (("(N, H, W, C)", "(N, H, W, 1)"), ("(N, L, C)", "(N, L, 1)"))[axes == 1]
        hint = f"; add an axis for one channel, {cure}" if len(x) == axes + 1 else ""
        raise ShapeError(f"{label}: x has shape {show(x)}; expected {expected}{hint}.")
    return x if axes == 2 else (x[0], x[1], 1, x[2])


def check_output(label: str, over: Windows, axes: int) -> None:
    """Refuse windows that don't fit into the image.

    Raises:
        ShapeError: with every number of the axis that is too short.
    """
    for axis, name in zip(over[:axes], ("height", "width") if axes == 2 else ("length",), strict=True):
        if axis.output < 1:
            raise ShapeError(
                f"{label}: the window eats the image: its {name} of {axis.length}, with padding {axis.before} before "
                f"and {axis.after} after, is {axis.padded}, but a kernel of {axis.kernel} with dilation "
                f"{axis.dilation} reaches over {axis.reach} (stride {axis.stride}), so that no output is left. Make "
                f"the kernel, the dilation, or the strides and pools before it smaller, or pad."
            )
