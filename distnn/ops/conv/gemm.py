"""Convolution as a matrix product: the windows of a block of positions become the rows of a matrix ("im2col").

A block's matrix fits into the L2 cache, and is built anew in the backward pass: that costs less than keeping it.
Source: Chellapilla, Puri and Simard, High Performance Convolutional Neural Networks for Document Processing, 2006.
"""

from __future__ import annotations

import numpy as np

from distnn.arrays import Array
from distnn.ops.blocks import Padded, Pass, Taps, WindowBlock, as_items, contiguous_axes, cut, each, window_view
from distnn.ops.op import Buffer, Closure, together
from distnn.ops.windows import Windows


def by_group(weight: Array, groups: int) -> Array:
    """weight (kh, kw, C / groups, O) as a matrix for each group (groups, kh·kw·C / groups, O / groups): a view."""
    outputs = weight.shape[3]
    return weight.reshape(-1, groups, outputs // groups).transpose(1, 0, 2)


class ColumnLayout:
    """How the columns of images of this shape lie in a buffer, behind the padded images.

    Arguments:
        shape: of the images, (N, H, W, C).
        over: the windows.
        groups: into which the channels are split.
        outputs: the number of output channels.

    Attributes:
        direct: whether the images are their own columns.
        taps: elements that a window sees of one group's channels.
        blocks: of columns and outputs that fit into the cache together.
        padded: elements of the padded images, in whole cache lines.
        positions: of the largest block.
        elements: of the whole buffer: padded images, then columns.
    """

    def __init__(self, shape: tuple[int, ...], over: Windows, groups: int, outputs: int) -> None:
        rows, columns = over
        self.shape, self.over, self.groups = shape, over, groups
        self.direct = rows.plain and columns.plain
        self.taps = rows.kernel * columns.kernel * shape[3] // groups
        self.blocks = cut(shape[0], rows.output, columns.output, self.taps * groups + outputs)
        self.padded = -(-Padded.elements(shape, over, self.blocks[0].images) // 16) * 16
        self.positions = self.blocks[0].stop
        self.elements = self.padded + (0 if self.direct else self.positions * self.taps * groups)

    def columns(self, buffer: Array) -> Array:
        """The buffer's columns (groups, positions, taps)."""
        return buffer[self.padded : self.elements].reshape(self.groups, self.positions, self.taps)


class Columns:
    """The windows of ``x`` as matrices, a block at a time.

    Arguments:
        layout: of the columns.
        x: images (N, H, W, C).
        buffer: a flat array of ``layout.elements`` elements.
    """

    def __init__(self, layout: ColumnLayout, x: Array, buffer: Array) -> None:
        self.padded = Padded(x, layout.over, layout.blocks[0].images, buffer)
        self.direct = layout.direct
        groups, first = layout.groups, layout.blocks[0]
        if self.direct:
            self.matrices = x.reshape(-1, groups, layout.taps).transpose(1, 0, 2)
            return
        views = window_view(self.padded.array, layout.over, groups)
        self.matrices = layout.columns(buffer)
        shape = (groups, first.images, first.bottom, *views.shape[3:])
        if x.shape[3] == 1:  # windows of a few numbers: their transpose is copied in longer runs
            across = self.matrices.reshape(layout.taps, layout.positions)
            self.matrices, self.source = across.T[None], views[..., 0]
            self.target = np.moveaxis(across.reshape(shape[4:6] + shape[:4]), (0, 1), (4, 5))
        else:
            target = self.matrices.reshape(shape)
            axes = contiguous_axes(views, 3)
            self.source, self.target = as_items(views, axes, self.padded.array), as_items(target, axes, self.matrices)

    def matrix(self, block: WindowBlock) -> Array:
        """The block's windows: (groups, positions, taps)."""
        if self.direct:
            return self.matrices[:, block.start : block.stop]
        self.padded.load(block)
        np.copyto(self.target[:, *block.in_buffer], self.source[:, *self.padded.where(block)])
        return self.matrices[:, : block.stop - block.start]


class Gemm:
    """By columns and matrix products.

    Arguments:
        x: the shape of the images, (N, H, W, C).
        weight: the shape of the kernels, (kh, kw, C / groups, O).
        over: the windows.
        groups: into which channels and outputs are split.
    """

    def __init__(self, x: tuple[int, ...], weight: tuple[int, ...], over: Windows, groups: int) -> None:
        rows, columns = over
        self.groups, self.weight = groups, weight
        self.layout = ColumnLayout(x, over, groups, weight[3])
        self.blocks = self.layout.blocks
        self.back: ColumnLayout | None = None
        if rows.reversible and columns.reversible:
            output = (x[0], rows.output, columns.output, weight[3])
            self.back = ColumnLayout(output, (rows.reversed(), columns.reversed()), groups, x[3])

    def work(self) -> dict[str, Buffer]:
        asked = {"forward": Buffer((self.layout.elements,), "forward"), "spare": Buffer(self.weight, "backward")}
        if self.back is not None:
            backward = max(self.layout.elements, self.back.elements)
            return asked | {"backward": Buffer((backward,), "backward")}
        first = self.blocks[0]
        parts = (2, first.images, first.bottom, self.layout.over[1].output, self.layout.shape[3])
        return asked | {"backward": Buffer((self.layout.elements,), "backward"), "parts": Buffer(parts, "backward")}

    def forward(self, work: dict[str, Array], y: Array, x: Array, weight: Array) -> Pass:
        """Columns times kernels, for each group."""
        return self._product(self.layout, work["forward"], y, x, weight)

    def _product(self, layout: ColumnLayout, buffer: Array, y: Array, x: Array, weight: Array) -> Pass:
        columns, kernels = Columns(layout, x, buffer), by_group(weight, self.groups)
        out = by_group(y, self.groups)

        def step(block: WindowBlock) -> None:
            np.matmul(columns.matrix(block), kernels, out=out[:, block.start : block.stop])

        return columns.padded.clear, step

    def weight_gradient(self, work: dict[str, Array], dweight: Array, x: Array, dy: Array) -> Pass:
        """Columnsᵀ times dy."""
        columns, dys, spare = Columns(self.layout, x, work["backward"]), by_group(dy, self.groups), work["spare"]
        target, second = by_group(dweight, self.groups), by_group(spare, self.groups)

        def step(block: WindowBlock) -> None:
            rows = columns.matrix(block).transpose(0, 2, 1)
            np.matmul(rows, dys[:, block.start : block.stop], out=second if block.start else target)
            if block.start:
                np.add(dweight, spare, out=dweight)

        return columns.padded.clear, step

    def input_gradient(self, work: dict[str, Array], dx: Array, dy: Array, weight: Array) -> Closure:
        """dy convolved with the kernels turned round for a stride of 1, else dy times kernelsᵀ, added up in place."""
        if self.back is None:
            return self._scatter(work, dx, dy, weight)
        kh, kw, channels, outputs = weight.shape
        split = (kh, kw, channels, self.groups, outputs // self.groups)
        source = weight[::-1, ::-1].reshape(split).transpose(0, 1, 4, 3, 2)
        spare = work["spare"].reshape(source.shape)
        turned = spare.reshape(kh, kw, outputs // self.groups, -1)
        start, step = self._product(self.back, work["backward"], dx, dy, turned)
        return together([lambda: np.copyto(spare, source), start, each(self.back.blocks, step)])

    def _scatter(self, work: dict[str, Array], dx: Array, dy: Array, weight: Array) -> Closure:
        layout, (rows, columns) = self.layout, self.layout.over
        matrices, parts = layout.columns(work["backward"]), work["parts"]
        taps = Taps(dx, layout.over, self.blocks[0].images, work["backward"], *parts)
        split = matrices.reshape(self.groups, *parts.shape[1:4], rows.kernel, columns.kernel, -1)
        source = as_items(split, 1, matrices)
        part = np.moveaxis(as_items(parts[0].reshape(*parts.shape[1:4], self.groups, -1), 1, parts[0]), 3, 0)
        dys, kernels = by_group(dy, self.groups), by_group(weight, self.groups).transpose(0, 2, 1)

        def step(block: WindowBlock) -> None:
            taps.begin(block)
            here = block.in_buffer
            np.matmul(dys[:, block.start : block.stop], kernels, out=matrices[:, : block.stop - block.start])
            for i, j in taps.order:
                np.copyto(part[:, *here], source[:, *here, :, i, j])
                taps.add(i, j)
            taps.end(block)

        return each(self.blocks, step)
