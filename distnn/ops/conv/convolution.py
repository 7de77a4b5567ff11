"""Convolutions of sequences and images, alone and with an activation in place.

As in every deep-learning library the kernel isn't turned round: strictly, this is a cross-correlation. Source:
Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show, size
from distnn.errors import ShapeError, UsageError
from distnn.kernels.loading import compiled_kernels
from distnn.ops.activation import Activation, LinearMap, Shifted
from distnn.ops.blocks import Pass, WindowBlock, images
from distnn.ops.conv.depthwise import Depthwise
from distnn.ops.conv.direct import Direct, suits
from distnn.ops.conv.gemm import Gemm
from distnn.ops.op import Buffer, Closure, Closures, by_rows, nothing, together
from distnn.ops.windows import Padding, Windows, check_output, image, lengths, sides, windows

#: Elements that a bias is repeated to before it is added: few enough for a core's L1 or L2 cache.
TILE = 2**14
#: A way of computing a convolution (`distnn.ops.conv`).
Method = Depthwise | Direct | Gemm


class Conv2D(LinearMap):
    """y[n, i, j] = f(Σₖₗ x[n, i·s + k·d − p, j·s + l·d − p] · W[k, l] + b), with x = 0 outside of the image.

    x (N, H, W, C), W (kh, kw, C / groups, O), b (O,) if given → y (N, H′, W′, O), where H′ and W′ are
    ⌊(H + padding − d (kh − 1) − 1) / s⌋ + 1. With groups, each O / groups outputs see C / groups channels.

    Arguments:
        stride: s, one number or (height, width).
        padding: ``valid`` for none; ``same`` for H′ = ⌈H / s⌉, the zeros split evenly and an odd one put after, as in
            TensorFlow and Keras (with s > 1 that isn't PyTorch's symmetric padding); a number of zeros on each side;
            (height, width); or ((top, bottom), (left, right)).
        dilation: d, one number or (height, width).
        groups: into which channels and outputs are split; as many as channels and outputs make it depthwise.

    Raises:
        UsageError: for options out of range.
        ShapeError: for shapes that don't fit, and windows that leave no output.
    """

    axes = 2

    def __init__(
        self,
        stride: int | Sequence[int] = 1,
        padding: Padding = "valid",
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
    ) -> None:
        self.stride, self.dilation = lengths("stride", stride, self.axes), lengths("dilation", dilation, self.axes)
        self.padding = sides(padding, self.axes)
        if groups < 1:
            raise UsageError(f"groups is {groups}; expected at least 1.")
        self.groups = groups

    def _kernel(self, weight: tuple[Any, ...]) -> tuple[Any, ...]:
        return weight if self.axes == 2 else (weight[0], 1, *weight[1:])

    def _windows(self, x: tuple[Any, ...], weight: tuple[Any, ...]) -> Windows:
        return windows(x, (weight[0], weight[1]), self.stride, self.dilation, self.padding)

    def shape(self, x: Shape, weight: Shape, bias: Shape | None = None) -> Shape:
        seen = image(self.label, x, self.axes)
        if len(weight) != self.axes + 2:
            expected = "(kh, kw, C / groups, O)" if self.axes == 2 else "(k, C / groups, O)"
            raise ShapeError(f"{self.label}: weight has shape {show(weight)}; expected {expected}.")
        kernel = self._kernel(weight)
        self._check_channels(seen[3], kernel[2], kernel[3], bias)
        over = self._windows(seen, kernel)
        check_output(self.label, over, self.axes)
        return (x[0], *(axis.output for axis in over[: self.axes]), kernel[3])

    def _check_channels(self, channels: int, each: int, outputs: int, bias: Shape | None) -> None:
        if channels != each * self.groups:
            raise ShapeError(
                f"{self.label}: x has {channels} channels, but the weight takes {each} in each of {self.groups} "
                f"group{'s' if self.groups > 1 else ''}, {each * self.groups} in all."
            )
        if outputs % self.groups:
            raise ShapeError(f"{self.label}: {outputs} outputs can't be split into {self.groups} groups evenly.")
        if bias is not None and bias != (outputs,):
            raise ShapeError(
                f"{self.label}: bias has shape {show(bias)}; expected {show((outputs,))}, as the weight's."
            )

    def compiles(self, y: tuple[int, ...], *inputs: Any) -> set[str]:
        x, weight = image(self.label, inputs[0], self.axes), self._kernel(inputs[1])
        own = {"products"} if suits(weight, self._windows(x, weight), self.groups) else set()
        return own | super().compiles(y, *inputs)

    def method(self, x: tuple[int, ...], weight: tuple[int, ...]) -> Method:
        """The fastest way of convolving images of this shape (N, H, W, C), of those that can."""
        over = self._windows(x, weight)
        if self.groups == x[3] == weight[3] > 1:
            return Depthwise(x, weight, over)
        if suits(weight, over, self.groups) and (compiled := compiled_kernels("products")):
            return Direct(x, weight, over, compiled)
        return Gemm(x, weight, over, self.groups)

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Buffer]:
        method = self.method(image(self.label, inputs[0], self.axes), self._kernel(inputs[1]))
        block, outputs = method.blocks[0], y[-1]
        asked = method.work()
        if len(inputs) == 3:
            asked["dbias"] = Buffer((outputs,), "backward")
        if len(inputs) == 3 and self.shifted(y) is None:
            tile = max(1, min(TILE // outputs, block.stop - block.start))
            asked["bias"] = Buffer((tile, outputs), "forward")
        if self.activation:
            asked |= _activation_work(self.activation, (size(y[:-1]), outputs), block)
        return asked

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        """The arrays are x, weight and, if there is one, bias; dy; and a gradient for each of the former."""
        count = len(arrays) // 2
        x, y, dy, dx = images(self.axes, arrays[0], y, *arrays[count : count + 2])
        weight, dweight = images(self.axes, arrays[1], arrays[count + 2], at=1)
        bias, dbias = (arrays[2], arrays[-1]) if count == 3 else (None, None)
        method = self.method(x.shape, weight.shape)
        passes, back = [method.forward(work, y, x, weight)], []
        shifted = self.shifted(y.shape)
        if bias is not None:
            passes.append(_add_bias(work["bias"], y, bias) if shifted is None else _shift(shifted, y, bias))
        if self.activation is not None:
            ahead, behind = _activation(self.activation, method.blocks, work, y, dy)
            if bias is None or shifted is None:
                passes.append(ahead)
            back.append(behind)
        forward = _over(method.blocks, passes)
        if dy is None:
            return forward, nothing
        if dbias is not None:
            back.append(_bias_gradient(work["dbias"], dbias, dy, method.blocks[0]))
        if dweight is not None:
            back.append(method.weight_gradient(work, dweight, x, dy))
        steps = [_over(method.blocks, back)]
        if dx is not None:
            steps.append(method.input_gradient(work, dx, dy, weight))
        return forward, together(steps)


class Conv1D(Conv2D):
    """y[n, i] = f(Σₖ x[n, i·s + k·d − p] · W[k] + b), with x = 0 outside of the sequence.

    x (N, L, C), W (k, C / groups, O), b (O,) if given → y (N, L′, O), with L′ as H′ for `Conv2D`.

    The arguments are those of `Conv2D` with one number each; padding may be a number or (before, after).
    """

    axes = 1


def _over(blocks: list[WindowBlock], passes: list[Pass]) -> Closure:
    """A closure that starts every pass, then puts each block through all of them while it is in the cache."""
    starts, steps = [start for start, _ in passes], [step for _, step in passes]

    def run() -> None:
        for start in starts:
            start()
        for block in blocks:
            for step in steps:
                step(block)

    return run


def _add_bias(tile: Array, y: Array, bias: Array) -> Pass:
    """y += b, with b repeated for some positions: numpy adds arrays of one shape about twice as fast."""
    flat, length = by_rows(y), len(tile)

    def step(block: WindowBlock) -> None:
        for start in range(block.start, block.stop, length):
            out = flat[start : min(start + length, block.stop)]
            np.add(out, tile[: len(out)], out=out)

    return (lambda: np.copyto(tile, bias)), step


def _shift(shifted: Shifted, y: Array, bias: Array) -> Pass:
    """y ← f(y + b)."""
    flat = by_rows(y)
    return nothing, lambda block: shifted(flat[block.start : block.stop], bias)


def _activation_work(activation: Activation, y: tuple[int, ...], block: WindowBlock) -> dict[str, Buffer]:
    """What is saved for all of y, (positions, O); the rest for the largest block."""
    rows = (block.stop - block.start, y[1])
    whole, piece = activation.work(y, y), activation.work(rows, rows)
    return {f"activation.{k}": whole[k] if asked.span == "saved" else asked for k, asked in piece.items()}


def _activation(
    activation: Activation, blocks: list[WindowBlock], work: dict[str, Array], y: Array, dy: Array | None
) -> tuple[Pass, Pass]:
    """y ← f(y) and dy ← dy · f′, a block at a time and in place, by the activation's own rules."""
    lower, upper = by_rows(y), by_rows(dy)
    asked = _activation_work(activation, lower.shape, blocks[0])
    closures = {}
    for block in blocks:
        rows = slice(block.start, block.stop)
        piece = {
            name.partition(".")[2]: work[name][rows] if asked[name].span == "saved" else work[name]
            for name in asked
            if name in work
        }
        dpiece = None if upper is None else upper[rows]
        closures[block.start] = activation.bind(piece, lower[rows], lower[rows], dpiece, dpiece)
    return (nothing, lambda block: closures[block.start][0]()), (nothing, lambda block: closures[block.start][1]())


def _bias_gradient(spare: Array, dbias: Array, dy: Array, largest: WindowBlock) -> Pass:
    """Σ dy over the positions, as a matrix-vector product: written by the first block, added by the others."""
    flat, ones = by_rows(dy), np.ones(largest.stop - largest.start, dy.dtype)

    def step(block: WindowBlock) -> None:
        rows = flat[block.start : block.stop]
        np.dot(ones[: len(rows)], rows, out=spare if block.start else dbias)
        if block.start:
            np.add(dbias, spare, out=dbias)

    return nothing, step
