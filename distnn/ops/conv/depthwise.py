"""Convolution of each channel by itself, without products of matrices: a sum over the kernel's taps."""

from __future__ import annotations

import numpy as np

from distnn.arrays import Array
from distnn.ops.blocks import Pass, Taps, WindowBlock, cut, each
from distnn.ops.op import Buffer, Closure, by_rows, together
from distnn.ops.windows import Windows


class Depthwise:
    """For as many groups as channels and outputs: y = Σᵢⱼ xᵢⱼ wᵢⱼ, elementwise, over the kernel's taps.

    Arguments:
        x, weight, over: as for `Gemm`; the weight is (kh, kw, 1, C).
    """

    def __init__(self, x: tuple[int, ...], weight: tuple[int, ...], over: Windows) -> None:
        self.x, self.over = x, over
        rows, columns = over
        # of images, output and products that fit into the cache together
        self.blocks = cut(x[0], rows.output, columns.output, (2 + rows.stride * columns.stride) * x[3])

    def work(self) -> dict[str, Buffer]:
        rows, columns = self.over
        wide = (rows.kernel, columns.kernel, columns.output, self.x[3])
        return Taps.work(self.x, self.over, self.blocks[0]) | {
            "wide": Buffer(wide, "forward"),
            "wide_back": Buffer(wide, "backward"),
            "spare": Buffer(self.x[3:], "backward"),
        }

    def _taps(self, x: Array, buffer: Array, *parts: Array) -> Taps:
        return Taps(x, self.over, self.blocks[0].images, buffer, *parts)

    def forward(self, work: dict[str, Array], y: Array, x: Array, weight: Array) -> Pass:
        """One tap's part of the sum after the other, with the kernel's rows written out along the image's."""
        taps, wide = self._taps(x, work["forward"], work["part"]), work["wide"]

        def start() -> None:
            taps.padded.clear()
            np.copyto(wide, weight)

        def step(block: WindowBlock) -> None:
            taps.load(block)
            out = y[block.in_output]
            for i, j in taps.order:
                seen = taps.get(i, j)
                np.multiply(seen, wide[i, j], out=seen if i or j else out)
                if i or j:
                    np.add(out, seen, out=out)

        return start, step

    def weight_gradient(self, work: dict[str, Array], dweight: Array, x: Array, dy: Array) -> Pass:
        """For each tap the sum of xᵢⱼ dy over the block."""
        part, spare = work["parts"][0], work["spare"]
        taps, ones = self._taps(x, work["backward"], part), np.ones(part.size // part.shape[-1], x.dtype)

        def step(block: WindowBlock) -> None:
            taps.load(block)
            upper = dy[block.in_output]
            for i, j in taps.order:
                target, seen = dweight[i, j, 0], taps.get(i, j)
                np.multiply(seen, upper, out=seen)
                rows = by_rows(seen)
                np.dot(ones[: len(rows)], rows, out=spare if block.start else target)
                if block.start:
                    np.add(target, spare, out=target)

        return taps.padded.clear, step

    def input_gradient(self, work: dict[str, Array], dx: Array, dy: Array, weight: Array) -> Closure:
        """dy times each tap of the kernel, added to what that tap saw."""
        taps, wide, parts = self._taps(dx, work["backward"], *work["parts"]), work["wide_back"], work["parts"][0]

        def step(block: WindowBlock) -> None:
            taps.begin(block)
            upper, part = dy[block.in_output], parts[block.in_buffer]
            for i, j in taps.order:
                np.multiply(upper, wide[i, j], out=part)
                taps.add(i, j)
            taps.end(block)

        return together([lambda: np.copyto(wide, weight), each(self.blocks, step)])
