"""Windows: what a kernel looks at from each position of an image, and how positions are cut into blocks.

Shared by convolutions and pooling. Everything is written for images (N, H, W, C); a sequence (N, L, C) is an image
(N, L, 1, C), so that its positions can be cut as rows are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, cast

import numpy as np

from distnn.arrays import Array, Shape, show, size
from distnn.errors import ShapeError, UsageError, nearest

Pair = tuple[int, int]
#: What users write: a word; one length for every side; one for each axis, or (before, after) where there is one axis;
#: or (before, after) for each axis.
Padding = str | int | Sequence[int] | Sequence[Sequence[int]]
Sides = Literal["same", "valid"] | tuple[Pair, Pair]

#: Elements of one block's work: 1 MiB in float32, about a core's L2 cache; from half to twice that was fastest.
BLOCK = 2**18
#: Positions that a block has at least, so that products of large kernels remain worth their start.
LEAST = 256


class Axis(NamedTuple):
    """Windows along one axis: output o looks at o · stride + k · dilation − before, for k = 0 … kernel − 1."""

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
        """Whether each window is the one element of its own place."""
        return self.kernel == self.stride == 1 and self.before == self.after == 0

    @property
    def reversible(self) -> bool:
        """Whether `reversed` can be: for a stride of 1 and no padding that a window could get lost in."""
        return self.stride == 1 and max(self.before, self.after) < self.reach

    def reversed(self) -> Axis:
        """The windows over the output through which each input element is seen."""
        return Axis(
            self.output, self.kernel, 1, self.dilation, self.reach - 1 - self.before, self.reach - 1 - self.after
        )


Windows = tuple[Axis, Axis]


def lengths(name: str, value: int | Sequence[int], axes: int) -> Pair:
    """A positive number for each of two axes, from one number or one for each; 1 for an axis that isn't there.

    Raises:
        UsageError: for anything else, naming the argument.
    """
    found: Any = (value,) * axes if isinstance(value, int) else value
    if not _numbers(found, axes, 1):
        raise UsageError(f"{name} is {value!r}; expected a number from 1{' or a pair of them' if axes == 2 else ''}.")
    return (found[0], found[1] if axes == 2 else 1)


def _numbers(value: Any, count: int, least: int) -> bool:
    """Whether ``value`` is a sequence of so many whole numbers, none below ``least``."""
    good = isinstance(value, list | tuple) and len(value) == count
    return good and all(isinstance(number, int) and number >= least for number in value)


def sides(value: Padding, axes: int) -> Sides:
    """``same``, ``valid``, or (before, after) for each of two axes.

    Raises:
        UsageError: for anything else, naming what is accepted.
    """
    if isinstance(value, str) and value in ("same", "valid"):
        return cast(Sides, value)
    pairs: Any = value
    if isinstance(value, int):
        pairs = [(value, value)] * axes
    elif _numbers(value, 2, 0):
        pairs = [value] if axes == 1 else [(length, length) for length in pairs]
    if not isinstance(pairs, list | tuple) or len(pairs) != axes or not all(_numbers(pair, 2, 0) for pair in pairs):
        hint = nearest(value, ("same", "valid")) if isinstance(value, str) else ""
        several = "(height, width) or ((top, bottom), (left, right))" if axes == 2 else "(before, after)"
        raise UsageError(f"padding is {value!r}{hint}; expected 'same', 'valid', a number from 0, or {several}.")
    (top, bottom), (left, right) = [*pairs, (0, 0)][:2]
    return ((top, bottom), (left, right))


def windows(image: tuple[Any, ...], kernel: Pair, stride: Pair, dilation: Pair, padding: Sides) -> Windows:
    """The windows over images (N, H, W, C).

    ``same`` gives ⌈length / stride⌉ outputs as TensorFlow and Keras do: the padding that takes is split evenly, and an
    odd element goes after. Source: https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2.
    """
    found = []
    for i, length in enumerate(image[1:3]):
        axis = Axis(length, kernel[i], stride[i], dilation[i])
        before = after = 0
        if padding == "same":
            total = max(0, (-(-length // axis.stride) - 1) * axis.stride + axis.reach - length)
            before, after = total // 2, total - total // 2
        elif padding != "valid":
            before, after = padding[i]
        found.append(axis._replace(before=before, after=after))
    return (found[0], found[1])


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


def check_output(label: str, found: Windows, axes: int) -> None:
    """Refuse windows that don't fit into the image.

    Raises:
        ShapeError: with every number of the axis that is too short.
    """
    for axis, name in zip(found[:axes], ("height", "width") if axes == 2 else ("length",), strict=True):
        if axis.output < 1:
            raise ShapeError(
                f"{label}: the window eats the image: its {name} of {axis.length}, with padding {axis.before} before "
                f"and {axis.after} after, is {axis.padded}, but a kernel of {axis.kernel} with dilation "
                f"{axis.dilation} reaches over {axis.reach} (stride {axis.stride}), so that no output is left. Make "
                f"the kernel, the dilation, or the strides and pools before it smaller, or pad."
            )


class Block(NamedTuple):
    """Some of the output's positions: of images ``first`` to ``last``, the rows ``top`` to ``bottom``.

    A block has either all rows of its images or one image, so that its positions ``start`` to ``stop`` are one run.
    """

    first: int
    last: int
    top: int
    bottom: int
    start: int
    stop: int

    @property
    def images(self) -> int:
        """How many."""
        return self.last - self.first

    @property
    def room(self) -> tuple[slice, slice]:
        """As many images and rows at the beginning of a buffer for the largest block."""
        return slice(self.images), slice(self.bottom - self.top)

    @property
    def part(self) -> tuple[slice, slice]:
        """Its images and rows of the whole output."""
        return slice(self.first, self.last), slice(self.top, self.bottom)


def cut(images: int, rows: int, columns: int, elements: int) -> list[Block]:
    """Blocks of about equal size that together hold every position.

    Arguments:
        images, rows, columns: the output's.
        elements: of work at each position.
    """
    fit = max(BLOCK // (columns * elements), -(-LEAST // columns))  # rows, of one image or of several
    height, step = min(fit, rows), max(1, fit // rows)
    height = -(-rows // -(-rows // height))
    step = -(-images // -(-images // step))
    return [
        Block(i, min(i + step, images), top, bottom, (i * rows + top) * columns, start + bottom * columns)
        for i in range(0, images, step)
        for start in [(min(i + step, images) - 1) * rows * columns]
        for top in range(0, rows, height)
        for bottom in [min(top + height, rows)]
    ]


class Padded:
    """A block's images with their padding in a work buffer, or the images themselves where nothing is padded.

    Arguments:
        x: images (N, H, W, C).
        over: windows.
        images: of a block.
        buffer: a flat array of at least ``Padded.elements`` elements.
    """

    def __init__(self, x: Array, over: Windows, images: int, buffer: Array) -> None:
        rows, columns = over
        self.x, self.array, self.inside = x, x, x
        self.needed = self.elements(x.shape, over, images) > 0
        if self.needed:
            shape = (images, rows.padded, columns.padded, x.shape[3])
            self.array = buffer[: size(shape)].reshape(shape)
            bottom, right = rows.before + rows.length, columns.before + columns.length
            self.inside = self.array[:, rows.before : bottom, columns.before : right]

    @staticmethod
    def elements(shape: tuple[int, ...], over: Windows, images: int) -> int:
        """The elements of the buffer: none where nothing is padded."""
        rows, columns = over
        bare = rows.padded == rows.length and columns.padded == columns.length
        return 0 if bare else images * rows.padded * columns.padded * shape[3]

    def clear(self, value: float = 0.0) -> None:
        """Put the padding's value into the buffer, which others have used since the last step."""
        if self.needed:
            self.array.fill(value)

    def load(self, block: Block) -> None:
        """Copy the block's images in, once for all blocks of an image."""
        if self.needed and block.top == 0:
            np.copyto(self.inside[: block.images], self.x[block.first : block.last])

    def unload(self, block: Block) -> None:
        """Copy the block's images out."""
        if self.needed:
            np.copyto(self.x[block.first : block.last], self.inside[: block.images])

    def where(self, block: Block) -> tuple[slice, slice]:
        """Where the block's windows are among those over ``array``: their images and rows."""
        images, rows = block.part
        return (slice(block.images), rows) if self.needed else (images, rows)
