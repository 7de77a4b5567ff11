"""Convolution of each channel by itself, without products of matrices: a sum over the kernel's taps."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from distnn.arrays import Array
from distnn.ops.blocks import Padded, WindowBlock, cut, each, tap_items
from distnn.ops.conv.method import Pass
from distnn.ops.op import Buffer, Closure, together
from distnn.ops.windows import Windows


class Depthwise:
    """The `Method` for as many groups as channels and outputs: y = Σᵢⱼ xᵢⱼ wᵢⱼ, elementwise, over the kernel's taps.

    Arguments:
        x: the shape of the images, (N, H, W, C).
        weight: the shape of the kernels, (kh, kw, 1, C).
        over: the windows.
    """

    def __init__(self, x: tuple[int, ...], weight: tuple[int, ...], over: Windows) -> None:
        self.x, self.weight, self.over = x, weight, over
        self.taps = [(i, j) for i in range(weight[0]) for j in range(weight[1])]

    @cached_property
    def blocks(self) -> list[WindowBlock]:
        """Of images, output and products that fit into the cache together."""
        rows, columns = self.over
        return cut(self.x[0], rows.output, columns.output, (2 + rows.stride * columns.stride) * self.x[3])

    def work(self) -> dict[str, Buffer]:
        rows, columns = self.over
        first, channels = self.blocks[0], self.x[3]
        part = (first.images, first.bottom, columns.output, channels)
        padded = (max(1, Padded.elements(self.x, self.over, first.images)),)
        wide = (rows.kernel, columns.kernel, columns.output, channels)
        return {
            "forward": Buffer(padded, "forward"),
            "backward": Buffer(padded, "backward"),
            "part": Buffer(part, "forward"),
            "parts": Buffer((2, *part), "backward"),
            "wide": Buffer(wide, "forward"),
            "wide_back": Buffer(wide, "backward"),
            "spare": Buffer((channels,), "backward"),
        }

    def forward(self, work: dict[str, Array], y: Array, x: Array, weight: Array) -> Pass:
        """One tap's part of the sum after the other, with the kernel's rows written out along the image's."""
        part, wide = work["part"], work["wide"]
        padded = Padded(x, self.over, self.blocks[0].images, work["forward"])
        source, items = tap_items(padded.array, self.over, part)

        def start() -> None:
            padded.clear()
            np.copyto(wide, weight)

        def step(block: WindowBlock) -> None:
            padded.load(block)
            where, here = padded.where(block), block.in_buffer
            seen, out = part[here], y[block.in_output]
            for i, j in self.taps:
                np.copyto(items[here], source[i, j][where])
                np.multiply(seen, wide[i, j], out=seen if i or j else out)
                if i or j:
                    np.add(out, seen, out=out)

        return start, step

    def weight_gradient(self, work: dict[str, Array], dweight: Array, x: Array, dy: Array) -> Pass:
        """For each tap the sum of xᵢⱼ dy over the block."""
        part, spare = work["parts"][0], work["spare"]
        padded = Padded(x, self.over, self.blocks[0].images, work["backward"])
        source, items = tap_items(padded.array, self.over, part)
        ones = np.ones(part.size // part.shape[-1], x.dtype)

        def step(block: WindowBlock) -> None:
            padded.load(block)
            where, here = padded.where(block), block.in_buffer
            seen, upper = part[here], dy[block.in_output]
            flat = seen.reshape(-1, seen.shape[-1])
            for i, j in self.taps:
                target = dweight[i, j, 0]
                np.copyto(items[here], source[i, j][where])
                np.multiply(seen, upper, out=seen)
                np.dot(ones[: len(flat)], flat, out=spare if block.start else target)
                if block.start:
                    np.add(target, spare, out=target)

        return padded.clear, step

    def input_gradient(self, work: dict[str, Array], dx: Array, dy: Array, weight: Array) -> Closure:
        """dy times each tap of the kernel, added to what that tap saw."""
        parts, wide, rows = work["parts"], work["wide_back"], self.over[0]
        padded = Padded(dx, self.over, self.blocks[0].images, work["backward"])
        target, items = tap_items(padded.array, self.over, parts[1])

        def step(block: WindowBlock) -> None:
            where, here = padded.where(block), block.in_buffer
            if block.top == 0:
                padded.array[where[0]].fill(0)
            upper = dy[block.in_output]
            part, other = parts[0][here], parts[1][here]
            for i, j in self.taps:
                seen = target[i, j][where]
                np.copyto(items[here], seen)
                np.multiply(upper, wide[i, j], out=part)
                np.add(other, part, out=other)
                np.copyto(seen, items[here])
            if block.bottom == rows.output:
                padded.unload(block)

        return together([lambda: np.copyto(wide, weight), each(self.blocks, step)])
