"""Blocks of windows that fit into a core's cache, and the copies of images that they are computed from.

Convolutions and pooling take their output a block at a time. What the windows of a block see is copied first, in pieces
that memcpy copies, and then computed with side by side in the cache: numpy's elementwise functions would copy strided
arrays into buffers of their own, which takes longer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from distnn.arrays import Array, size
from distnn.ops.op import Buffer, Closure
from distnn.ops.windows import Windows

#: Elements of one block's work: 1 MiB in float32, about a core's L2 cache; from half to twice that was fastest.
BLOCK = 2**18
#: The fewest positions of a block, so that products of large kernels remain worth their start.
LEAST = 256


class WindowBlock(NamedTuple):
    """Some of the output's positions: of images ``first`` to ``last``, the rows ``top`` to ``bottom``.

    A block has either all rows of its images or one image, so that its positions ``start`` to ``stop`` are contiguous.
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
    def in_buffer(self) -> tuple[slice, slice]:
        """Its images and rows in a buffer for the largest block."""
        return slice(self.images), slice(self.bottom - self.top)

    @property
    def in_output(self) -> tuple[slice, slice]:
        """Its images and rows in the whole output."""
        return slice(self.first, self.last), slice(self.top, self.bottom)


#: What is done for one block.
BlockStep = Callable[[WindowBlock], object]
#: A closure that starts a pass over the blocks, and the step for each of them.
Pass = tuple[Closure, BlockStep]


def each(blocks: list[WindowBlock], step: BlockStep) -> Closure:
    """A closure that calls ``step`` with every block."""

    def run() -> None:
        for block in blocks:
            step(block)

    return run


def cut(images: int, rows: int, columns: int, elements: int) -> list[WindowBlock]:
    """Blocks of about equal size, the largest first, that together hold every position.

    Arguments:
        images, rows, columns: of the output.
        elements: computed with at each position.
    """
    fit = max(BLOCK // (columns * elements), -(-LEAST // columns))  # rows, of one image or of several
    height, step = min(fit, rows), max(1, fit // rows)
    height = -(-rows // -(-rows // height))
    step = -(-images // -(-images // step))
    return [
        WindowBlock(i, min(i + step, images), top, bottom, (i * rows + top) * columns, start + bottom * columns)
        for i in range(0, images, step)
        for start in [(min(i + step, images) - 1) * rows * columns]
        for top in range(0, rows, height)
        for bottom in [min(top + height, rows)]
    ]


class Padded:
    """A block's images with their padding in a scratch buffer, or the images themselves where nothing is padded.

    Arguments:
        x: images (N, H, W, C).
        over: the windows.
        images: of the largest block.
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
        """Fill the buffer, which other ops have used since the last step, with the padding's value."""
        if self.needed:
            self.array.fill(value)

    def load(self, block: WindowBlock) -> None:
        """Copy the block's images in, once for all blocks of an image."""
        if self.needed and block.top == 0:
            np.copyto(self.inside[: block.images], self.x[block.first : block.last])

    def unload(self, block: WindowBlock) -> None:
        """Copy the block's images out."""
        if self.needed:
            np.copyto(self.x[block.first : block.last], self.inside[: block.images])

    def where(self, block: WindowBlock) -> tuple[slice, slice]:
        """The images and rows of the block's windows among those over ``array``."""
        images, rows = block.in_output
        return (slice(block.images), rows) if self.needed else (images, rows)


def window_view(images: Array, over: Windows, groups: int = 1) -> Array:
    """What each window sees, as a view.   images (N, H, W, C), padded → (groups, N, H′, W′, kh, kw, C / groups)."""
    n, _, _, channels = images.shape
    image, row, column, channel = images.strides
    rows, columns = over
    each = channels // groups
    shape = (groups, n, rows.output, columns.output, rows.kernel, columns.kernel, each)
    steps = (rows.stride * row, columns.stride * column, rows.dilation * row, columns.dilation * column)
    return as_strided(images, shape, (each * channel, image, *steps, channel))


def images(axes: int, *arrays: Any, at: int = 2) -> list[Any]:
    """Contiguous images (N, H, W, C), those of one axis with a second ``at`` its place; None stays None."""
    whole = [None if a is None else np.ascontiguousarray(a) for a in arrays]
    return whole if axes == 2 else [None if a is None else a.reshape(*a.shape[:at], 1, *a.shape[at:]) for a in whole]


def as_items(array: Array, axes: int, base: Array) -> Array:
    """``array`` with its last axes, which are contiguous, as one opaque item.

    Arguments:
        array: a view that starts where ``base`` does.
        axes: how many of them, at least one.
        base: the contiguous array that ``array`` is a view of.
    """
    item = np.dtype(f"V{size(array.shape[-axes:]) * array.itemsize}")
    return np.ndarray(array.shape[:-axes], item, base, 0, array.strides[:-axes])


def contiguous_axes(array: Array, most: int) -> int:
    """How many of the last axes are contiguous together, up to ``most``."""
    run, axes = array.itemsize * array.shape[-1], 1
    while axes < most and (array.shape[-1 - axes] == 1 or array.strides[-1 - axes] == run):
        run *= array.shape[-1 - axes]
        axes += 1
    return axes


class Taps:
    """What the windows of a block see of images at each tap of the kernel: copied to, or added up from, arrays like y.

    Arguments:
        x, over, images, buffer: as for `Padded`.
        parts: contiguous arrays (M, H″, W′, C): the one that is copied to, or from, and one of scratch for `add`. Rows
            are copied as one item each, or C elements at a time if the images' rows are strided.

    Attributes:
        order: the taps (i, j), row by row.
    """

    def __init__(self, x: Array, over: Windows, images: int, buffer: Array, *parts: Array) -> None:
        self.padded, self.over, self.parts = Padded(x, over, images, buffer), over, parts
        view = np.moveaxis(window_view(self.padded.array, over)[0], (3, 4), (0, 1))
        axes = contiguous_axes(view, 2)
        self.seen, *self.items = (as_items(view, axes, self.padded.array), *(as_items(a, axes, a) for a in parts))
        self.order = list(np.ndindex(view.shape[:2]))

    @staticmethod
    def work(x: tuple[int, ...], over: Windows, block: WindowBlock) -> dict[str, Buffer]:
        """The buffers for x of this shape: forward copies to ``part``, and backward adds ``parts`` up."""
        padded = (max(1, Padded.elements(x, over, block.images)),)
        part = (block.images, block.bottom, over[1].output, x[3])
        return {
            "forward": Buffer(padded, "forward"),
            "backward": Buffer(padded, "backward"),
            "part": Buffer(part, "forward"),
            "parts": Buffer((2, *part), "backward"),
        }

    def load(self, block: WindowBlock) -> None:
        """Begin a block whose images are read."""
        self.padded.load(block)
        self.where, self.here = self.padded.where(block), block.in_buffer

    def get(self, i: int, j: int) -> Array:
        """What tap i, j of the block's windows sees, copied."""
        np.copyto(self.items[0][self.here], self.seen[i, j][self.where])
        return self.parts[0][self.here]

    def begin(self, block: WindowBlock, *, empty: bool = True) -> None:
        """Begin a block whose images are written: from zeros, unless each element will be `put`."""
        self.where, self.here = self.padded.where(block), block.in_buffer
        if empty and block.top == 0:
            self.padded.array[self.where[0]].fill(0)

    def put(self, i: int, j: int) -> None:
        """Write the part where tap i, j of the block's windows saw."""
        np.copyto(self.seen[i, j][self.where], self.items[0][self.here])

    def add(self, i: int, j: int) -> None:
        """Add the part to where tap i, j of the block's windows saw."""
        seen, items, other = self.seen[i, j][self.where], self.items[1][self.here], self.parts[1][self.here]
        np.copyto(items, seen)
        np.add(other, self.parts[0][self.here], out=other)
        np.copyto(seen, items)

    def end(self, block: WindowBlock) -> None:
        """Copy what was written out with an image's last block."""
        if block.bottom == self.over[0].output:
            self.padded.unload(block)
