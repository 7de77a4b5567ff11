"""Convolution without columns, by compiled tiles that multiply the images where they lie.

The gradient of the images is a convolution, too. For a stride of s the elements of a row of dx fall into s phases, by
their positions modulo s. Each phase is seen through every s-th tap of the kernel, and is a convolution of dy with
these, turned round, with a stride of 1. Source: Dumoulin and Visin, A guide to convolution arithmetic, 2016, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from types import ModuleType
from typing import NamedTuple

import numpy as np

from distnn.arrays import Array, size
from distnn.ops.blocks import BlockStep, Padded, Pass, WindowBlock, cut
from distnn.ops.conv.gemm import Gemm
from distnn.ops.op import Buffer, Closure
from distnn.ops.windows import Axis, Windows

#: A kernel's outputs, and its channels for a gradient of the images, are a multiple of this: of 64 bytes in float32.
LANES = 16
#: The fewest products for a sample that are worth numba's start: the choice depends on the sample, not the batch.
LEAST_WORK = 2**16
#: Elements of images and outputs that stay in the L1 cache while the weight's gradient is summed over them.
NEAR = 2**13
#: The most elements of a kernel whose gradient stays in the L2 cache; with larger ones the BLAS is faster.
LARGEST = 2**18


def suits(weight: tuple[int, ...], over: Windows, groups: int) -> bool:
    """Whether the tiles can compute this convolution, and faster than products of columns."""
    enough = over[0].output * over[1].output * size(weight) >= LEAST_WORK
    return groups == 1 and enough and weight[3] % LANES == 0 and size(weight) <= LARGEST


class Phase(NamedTuple):
    """Along one axis, the elements ``first``, ``first`` + s … of dx, and what of dy is seen from them.

    Element first + s·m is seen by the outputs m + begin, m + begin + dilation …, through ``taps`` in reversed order.
    """

    first: int
    many: int
    taps: slice
    seen: int
    begin: int
    dilation: int

    @property
    def end(self) -> int:
        """One past the last output that is seen from any of the elements."""
        return self.many + self.begin + (self.seen - 1) * self.dilation


def phases(axis: Axis) -> list[Phase]:
    """One for each position modulo the stride. An axis with a stride has no dilation."""
    result, dilation = [], axis.dilation if axis.stride == 1 else 1
    for first in range(min(axis.stride, axis.length)):
        tap = (first + axis.before) % axis.stride
        seen = len(range(tap, axis.kernel, axis.stride))
        begin = (first + axis.before - tap) // axis.stride - max(0, seen - 1) * dilation
        count = len(range(first, axis.length, axis.stride))
        result.append(Phase(first, count, slice(tap, None, axis.stride), seen, begin if seen else 0, dilation))
    return result


def around(axis: Axis, phases: list[Phase]) -> Axis:
    """The outputs along an axis with the zeros that its phases see before and after."""
    before = max(0, -min(phase.begin for phase in phases))
    after = max(0, max(phase.end for phase in phases) - axis.output)
    return Axis(axis.output, 1, before=before, after=after)


def offsets(images: int, shape: tuple[int, ...], rows: range, columns: range) -> Array:
    """Where these rows and columns of images of this shape (H, W, C) begin, in a flat array of whole images."""
    height, width, channels = shape
    image, row, column = np.ix_(range(images), rows, columns)
    return ((image * height + row) * width + column).reshape(-1) * channels


def elements(shape: tuple[int, ...], rows: range, columns: range) -> Array:
    """Where the elements of these rows and columns of an image are, as those of a window."""
    return (offsets(1, shape, rows, columns)[:, None] + np.arange(shape[2])).reshape(-1)


def spaced(count: int, step: int, first: int = 0) -> range:
    """``count`` numbers, ``step`` apart."""
    return range(first, first + count * step, step)


@dataclass(frozen=True)
class PlacedWindows:
    """Images, and where in them the windows start, a block at a time.

    Arguments:
        images: with their padding, loaded before.
        places: of the windows in the images of the largest block, in flat memory.
        taps: the windows' elements, from their places.
        line: the number of windows for each of a block's rows.
    """

    images: Padded
    places: Array
    taps: Array
    line: int

    def part(self, block: WindowBlock) -> slice:
        """Those of the places that the block has."""
        first = block.top * self.line
        return slice(first, first + block.images * (block.bottom - block.top) * self.line)

    def start(self, block: WindowBlock) -> int:
        """Where the block's images start."""
        return 0 if self.images.needed else block.first * size(self.images.array.shape[1:])


class Direct:
    """By compiled tiles; `Gemm` computes the images' gradient where they can't.

    Arguments:
        x, weight, over: as for `Gemm`.
        kernels: `distnn.kernels.compiled.products`.
    """

    def __init__(self, x: tuple[int, ...], weight: tuple[int, ...], over: Windows, kernels: ModuleType) -> None:
        self.x, self.weight, self.over, self.kernels = x, weight, over, kernels
        self.output = (x[0], over[0].output, over[1].output, weight[3])
        plain = all(axis.stride == 1 or axis.dilation == 1 for axis in over)
        self.gemm = None if plain and x[3] % LANES == 0 else Gemm(x, weight, over, 1)
        # elements of images and outputs for each position, and blocks that fit into the cache with them
        self.each = over[0].stride * over[1].stride * x[3] + weight[3]
        self.blocks = cut(x[0], self.output[1], self.output[2], self.each)
        # the images' gradient: in blocks of whole images, since its phases have rows of their own; and the outputs with
        # the zeros around them that it sees
        self.back = cut(x[0], 1, size(self.output[1:3]), self.each)
        self.phases = phases(over[0]), phases(over[1])
        self.seen = around(over[0], self.phases[0]), around(over[1], self.phases[1])

    def work(self) -> dict[str, Buffer]:
        padded, weight = Padded.elements(self.x, self.over, self.blocks[0].images), size(self.weight)
        asked = {"forward": Buffer((padded,), "forward"), "kernel": Buffer((weight,), "forward")}
        if self.gemm is not None:
            others = self.gemm.work()
            longer = max(padded, size(others["backward"].shape))
            return others | asked | {"backward": Buffer((longer,), "backward")}
        around = Padded.elements(self.output, self.seen, self.back[0].images)
        return asked | {
            "backward": Buffer((max(padded, around),), "backward"),
            "turned": Buffer((weight,), "backward"),
        }

    def _windowed(self, x: Array, buffer: Array) -> PlacedWindows:
        """The convolution's windows over x."""
        images, (rows, columns) = self.blocks[0].images, self.over
        padded = Padded(x, self.over, images, buffer)
        shape = padded.array.shape[1:]
        places = offsets(images, shape, spaced(rows.output, rows.stride), spaced(columns.output, columns.stride))
        taps = elements(shape, spaced(rows.kernel, rows.dilation), spaced(columns.kernel, columns.dilation))
        return PlacedWindows(padded, places, taps, columns.output)

    def _pieces(self, weight: Array) -> Array:
        """Kernels (kh, kw, C, O) with their outputs in pieces: a view (pieces, kh, kw, C, lanes), to be copied."""
        lanes = self.kernels.VECTOR // weight.itemsize
        return np.moveaxis(weight.reshape(*weight.shape[:3], weight.shape[3] // lanes, lanes), 3, 0)

    def forward(self, work: dict[str, Array], y: Array, x: Array, weight: Array) -> Pass:
        """The sum over each window."""
        windowed, source = self._windowed(x, work["forward"]), self._pieces(weight)
        kernel = work["kernel"].reshape(source.shape)
        _, height, width, _ = y.shape
        targets = offsets(self.blocks[0].images, y.shape[1:], range(height), range(width))
        sweep = self._sweep(windowed, kernel, y, targets)

        def start() -> None:
            windowed.images.clear()
            np.copyto(kernel, source)

        def step(block: WindowBlock) -> None:
            windowed.images.load(block)
            sweep(block)

        return start, step

    def _sweep(self, windowed: PlacedWindows, kernel: Array, y: Array, targets: Array) -> BlockStep:
        """What fills, for each window of a block, its target in y."""
        seen, flat, out = (array.reshape(-1) for array in (windowed.images.array, kernel, y))
        places, taps, image, run = windowed.places, windowed.taps, size(y.shape[1:]), self.kernels.multiply

        def sweep(block: WindowBlock) -> None:
            part = windowed.part(block)
            start, origin = windowed.start(block), block.first * image
            run(seen, start, places[part], taps, flat, len(kernel), out, origin, targets[part])

        return sweep

    def weight_gradient(self, work: dict[str, Array], dweight: Array, x: Array, dy: Array) -> Pass:
        """For each tap what it sees times dy, summed over the positions."""
        windowed, outputs = self._windowed(x, work["backward"]), self.weight[3]
        seen, upper, target = windowed.images.array.reshape(-1), dy.reshape(-1), dweight.reshape(-1, outputs)
        places, taps, run, chunk = windowed.places, windowed.taps, self.kernels.correlate, max(1, NEAR // self.each)

        def step(block: WindowBlock) -> None:
            windowed.images.load(block)
            here, start, first = places[windowed.part(block)], windowed.start(block), block.start
            run(seen, start, here, taps, upper, first * outputs, target, chunk, first > 0)

        return windowed.images.clear, step

    def input_gradient(self, work: dict[str, Array], dx: Array, dy: Array, weight: Array) -> Closure:
        """For each phase dy convolved with its taps, turned round."""
        if self.gemm is not None:
            return self.gemm.input_gradient(work, dx, dy, weight)
        padded = Padded(dy, self.seen, self.back[0].images, work["backward"])
        copies, sweeps, used = [], [], 0
        for down, across in product(*self.phases):
            source = self._pieces(weight[down.taps, across.taps][::-1, ::-1].swapaxes(2, 3))
            kernel = work["turned"][used : used + source.size].reshape(source.shape)
            used += source.size
            copies.append((kernel, source))
            sweeps.append(self._phase(padded, kernel, dx, down, across))

        def backward() -> None:
            padded.clear()
            for kernel, source in copies:
                np.copyto(kernel, source)
            for block in self.back:
                padded.load(block)
                for sweep in sweeps:
                    sweep(block)

        return backward

    def _phase(self, padded: Padded, kernel: Array, dx: Array, down: Phase, across: Phase) -> BlockStep:
        """What fills one phase of dx."""
        shape, images, (above, left) = padded.array.shape[1:], self.back[0].images, self.seen
        begin = spaced(down.many, 1, down.begin + above.before), spaced(across.many, 1, across.begin + left.before)
        taps = elements(shape, spaced(down.seen, down.dilation), spaced(across.seen, across.dilation))
        rows, columns = self.over
        to = spaced(down.many, rows.stride, down.first), spaced(across.many, columns.stride, across.first)
        windowed = PlacedWindows(padded, offsets(images, shape, *begin), taps, down.many * across.many)
        return self._sweep(windowed, kernel, dx, offsets(images, dx.shape[1:], *to))
