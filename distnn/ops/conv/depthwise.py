"""Convolution of each channel by itself, without products of matrices: a sum over the kernel's places."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from distnn.arrays import Array
from distnn.ops.conv.im2col import Pass
from distnn.ops.conv.views import places
from distnn.ops.conv.windows import Block, Padded, Windows, cut
from distnn.ops.op import Closure, Work


class Depthwise:
    """Convolution with as many groups as channels and outputs: y = Σᵢⱼ xᵢⱼ wᵢⱼ, elementwise, over the kernel's places.

    Arguments:
        x: the shape of the images, (N, H, W, C).
        weight: the shape of the kernels, (kh, kw, 1, C).
        over: the windows.
    """

    def __init__(self, x: tuple[int, ...], weight: tuple[int, ...], over: Windows) -> None:
        self.x, self.weight, self.over = x, weight, over
        self.taps = [(i, j) for i in range(weight[0]) for j in range(weight[1])]

    @cached_property
    def blocks(self) -> list[Block]:
        """What fits into the cache: the windows' images, the output and a product."""
        rows, columns = self.over
        return cut(self.x[0], rows.output, columns.output, (2 + rows.stride * columns.stride) * self.x[3])

    def work(self) -> dict[str, Work]:
        """The buffers that the passes need."""
        rows, columns = self.over
        first, channels = self.blocks[0], self.x[3]
        part = (first.images, first.bottom, columns.output, channels)
        padded = (max(1, Padded.elements(self.x, self.over, first.images)),)
        wide = (rows.kernel, columns.kernel, columns.output, channels)
        return {
            "forward": Work(padded, "forward"),
            "backward": Work(padded, "backward"),
            "part": Work(part, "forward"),
            "parts": Work((2, *part), "backward"),
            "wide": Work(wide, "forward"),
            "wide_back": Work(wide, "backward"),
            "spare": Work((channels,), "backward"),
        }

    def forward(self, work: dict[str, Array], y: Array, x: Array, weight: Array) -> Pass:
        """Each place's part of the sum in turn, with the kernel's rows written out along the image's."""
        part, wide = work["part"], work["wide"]
        padded = Padded(x, self.over, self.blocks[0].images, work["forward"])
        source, items = places(padded.array, self.over, part)

        def start() -> None:
            padded.clear()
            np.copyto(wide, weight)

        def step(block: Block) -> None:
            padded.load(block)
            where, room = padded.where(block), block.room
            seen, out = part[room], y[block.part]
            for i, j in self.taps:
                np.copyto(items[room], source[i, j][where])
                np.multiply(seen, wide[i, j], out=seen if i or j else out)
                if i or j:
                    np.add(out, seen, out=out)

        return start, step

    def weight_gradient(self, work: dict[str, Array], dweight: Array, x: Array, dy: Array) -> Pass:
        """For each place of the kernel the sum of xᵢⱼ dy over the block, written by the first, added by the others."""
        part, spare = work["parts"][0], work["spare"]
        padded = Padded(x, self.over, self.blocks[0].images, work["backward"])
        source, items = places(padded.array, self.over, part)
        ones = np.ones(part.size // part.shape[-1], x.dtype)

        def step(block: Block) -> None:
            padded.load(block)
            where, room = padded.where(block), block.room
            seen, upper = part[room], dy[block.part]
            flat = seen.reshape(-1, seen.shape[-1])
            for i, j in self.taps:
                target = dweight[i, j, 0]
                np.copyto(items[room], source[i, j][where])
                np.multiply(seen, upper, out=seen)
                np.dot(ones[: len(flat)], flat, out=spare if block.start else target)
                if block.start:
                    np.add(target, spare, out=target)

        return padded.clear, step

    def input_gradient(self, work: dict[str, Array], dx: Array, dy: Array, weight: Array) -> Closure:
        """dy times each place of the kernel, added where that place looked."""
        parts, wide, rows = work["parts"], work["wide_back"], self.over[0]
        padded = Padded(dx, self.over, self.blocks[0].images, work["backward"])
        target, items = places(padded.array, self.over, parts[1])

        def step(block: Block) -> None:
            where, room = padded.where(block), block.room
            if block.top == 0:
                padded.array[where[0]].fill(0)
            upper = dy[block.part]
            part, other = parts[0][room], parts[1][room]
            for i, j in self.taps:
                place = target[i, j][where]
                np.copyto(items[room], place)
                np.multiply(upper, wide[i, j], out=part)
                np.add(other, part, out=other)
                np.copyto(place, items[room])
            if block.bottom == rows.output:
                padded.unload(block)

        def backward() -> None:
            np.copyto(wide, weight)
            for block in self.blocks:
                step(block)

        return backward
