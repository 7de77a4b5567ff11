"""Pooling: the maximum or the mean of each channel, over windows of a sequence or an image, or over all positions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show, size
from distnn.errors import ShapeError, UsageError
from distnn.kernels.loading import compiled_kernels
from distnn.ops.blocks import BlockStep, Taps, WindowBlock, cut, each, images
from distnn.ops.op import Buffer, Closures, Op, nothing, select, together
from distnn.ops.windows import Sides, Windows, check_output, image, lengths, windows

#: From so many positions on, a mean is added up in pieces of so many, since the rounding errors of one long sum grow.
MANY, PIECE = 2048, 256


class Pooling(Op):
    """Max and average pooling: windows, and blocks of images that fit into the cache.

    Arguments:
        window: its size, one number or (height, width).
        stride: from window to window; the window's size if None.
        padding: ``valid``: elements at the end that fill no window are left out; ``same``: ⌈H / stride⌉ windows, of
            which those at the edges see less.

    Raises:
        UsageError: for options out of range.
        ShapeError: for an input that is no image, or is smaller than a window.
    """

    axes = 2
    keeps_inputs = False
    #: What padding holds.
    empty = 0.0

    def __init__(
        self, window: int | Sequence[int] = 2, stride: int | Sequence[int] | None = None, padding: str = "valid"
    ) -> None:
        self.window = lengths("window", window, self.axes)
        self.stride = self.window if stride is None else lengths("stride", stride, self.axes)
        if padding not in ("same", "valid"):
            raise UsageError(f"padding is {padding!r}; pooling takes 'same' or 'valid'.")
        self.padding: Sides = "same" if padding == "same" else "valid"

    def _windows(self, x: tuple[Any, ...]) -> Windows:
        return windows(image(self.label, x, self.axes), self.window, self.stride, (1, 1), self.padding)

    def shape(self, x: Shape) -> Shape:
        over = self._windows(x)
        check_output(self.label, over, self.axes)
        return (x[0], *(axis.output for axis in over[: self.axes]), x[-1])

    def flops(self, y: tuple[int, ...], x: tuple[int, ...]) -> int:
        return size(y) * size(self.window)

    def _blocks(self, y: tuple[int, ...]) -> list[WindowBlock]:
        """Whole images, as many as fit into the cache with their pooled images and scratch buffers."""
        blocks = cut(y[0], 1, size(y[1:-1]), y[-1] * (3 + 2 * size(self.stride)))
        return [block._replace(bottom=y[1]) for block in blocks]

    def work(self, y: tuple[int, ...], x: tuple[int, ...]) -> dict[str, Buffer]:
        return Taps.work(image(self.label, x, self.axes), self._windows(x), self._blocks(y)[0])

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        over, blocks = self._windows(arrays[0].shape), self._blocks(y.shape)
        x, y, dy, dx = images(self.axes, arrays[0], y, *arrays[1:])
        seen = Taps(x, over, blocks[0].images, work["forward"], work["part"], y)
        combine = self._ahead(work, seen, y, training=dx is not None)

        def ahead(block: WindowBlock) -> None:
            seen.load(block)
            np.copyto(seen.items[1][block.in_output], seen.seen[0, 0][seen.where])
            combine(block)

        forward = together([lambda: seen.padded.clear(self.empty), each(blocks, ahead)])
        if dx is None:
            return forward, nothing
        target = Taps(dx, over, blocks[0].images, work["backward"], *work["parts"])
        covered = all(axis.stride == axis.kernel and axis.output * axis.kernel == axis.padded for axis in over)
        apart = all(axis.stride >= axis.kernel for axis in over)
        spread = self._behind(work, target, dy, target.put if apart else target.add)

        def behind(block: WindowBlock) -> None:
            target.begin(block, empty=not covered)
            spread(block)
            target.end(block)

        return forward, each(blocks, behind)

    @abstractmethod
    def _ahead(self, work: dict[str, Array], taps: Taps, y: Array, *, training: bool) -> BlockStep:
        """What turns y, with what the first tap sees of a block of images, into the pooled block."""

    @abstractmethod
    def _behind(self, work: dict[str, Array], taps: Taps, dy: Array, give: Callable[[int, int], None]) -> BlockStep:
        """What gives each tap its part of a block's dy: ``give`` takes it from the taps' first array."""


class MaxPool2D(Pooling):
    """y[n, i, j] = maxₖₗ x[n, i·s + k, j·s + l], channel by channel; ∂y/∂x = 1 at the window's first maximum, else 0.

    x (N, H, W, C) → y (N, H′, W′, C), H′ = ⌊(H − window) / s⌋ + 1. The first is meant row by row. Forward saves
    the tap of each maximum, so that backward needs neither x nor y.
    """

    kernels = "pooling"
    empty = -np.inf

    def _compiled(self, x: tuple[int, ...]) -> ModuleType | None:
        """The compiled kernels, if these are the windows that they are for."""
        fits = all(axis.kernel == 2 <= axis.stride and axis.padded == axis.length for axis in self._windows(x))
        return compiled_kernels(self.kernels) if fits else None

    def work(self, y: tuple[int, ...], x: tuple[int, ...]) -> dict[str, Buffer]:
        if self._compiled(x):
            return {"winner": Buffer(y, "saved", np.int32)}
        asked, kind = super().work(y, x), np.uint8 if size(self.window) <= 256 else np.uint32
        part = asked["part"].shape
        return asked | {
            "winner": Buffer((y[0], *part[1:]), "saved", kind),
            "rival": Buffer(part, "forward", kind),
            "better": Buffer(part, "forward", np.bool_),
            "mask": Buffer(part, "backward", np.bool_),
        }

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        kernels = self._compiled(arrays[0].shape)
        if kernels is None:
            return super().bind(work, y, *arrays)
        x, dy, dx = images(self.axes, *arrays)
        winner, (down, across) = work["winner"], self.stride

        def forward() -> None:
            kernels.maximum(x, down, across, y, winner)

        def backward() -> None:
            kernels.spread(dy, winner, down, across, dx)

        return forward, nothing if dx is None else backward

    def _ahead(self, work: dict[str, Array], taps: Taps, y: Array, *, training: bool) -> BlockStep:
        winner, rivals, better = work["winner"], work["rival"], work["better"]

        def step(block: WindowBlock) -> None:
            out, won = y[block.in_output], winner[block.in_output]
            rival, more = rivals[block.in_buffer], better[block.in_buffer]
            won.fill(0)
            for k, (i, j) in enumerate(taps.order[1:], 1):
                part = taps.get(i, j)
                if training:
                    np.greater(part, out, out=more)
                    np.copyto(rival, more)
                    np.multiply(rival, k, out=rival)
                    np.maximum(won, rival, out=won)
                np.maximum(out, part, out=out)

        return step

    def _behind(self, work: dict[str, Array], taps: Taps, dy: Array, give: Callable[[int, int], None]) -> BlockStep:
        winner, mask, parts = work["winner"], work["mask"], taps.parts[0]

        def step(block: WindowBlock) -> None:
            won, slope = winner[block.in_output], dy[block.in_output]
            hit, part = mask[block.in_buffer], parts[block.in_buffer]
            for k, (i, j) in enumerate(taps.order):
                np.equal(won, k, out=hit)
                select(slope, hit, part)
                give(i, j)

        return step


class MaxPool1D(MaxPool2D):
    """y[n, i] = maxₖ x[n, i·s + k], channel by channel.   x (N, L, C) → y (N, L′, C); see `MaxPool2D`."""

    axes = 1


class AveragePool2D(Pooling):
    """y[n, i, j] = the mean over k, l of x[n, i·s + k, j·s + l], channel by channel.

    x (N, H, W, C) → y (N, H′, W′, C), H′ = ⌊(H − window) / s⌋ + 1. Padding isn't counted: a window at the edge has the
    mean of what it sees, as in TensorFlow and Keras. ∂y/∂x = 1 / count.
    """

    def _ahead(self, work: dict[str, Array], taps: Taps, y: Array, *, training: bool) -> BlockStep:
        weight = _share(taps.over, y.dtype)

        def step(block: WindowBlock) -> None:
            out = y[block.in_output]
            for i, j in taps.order[1:]:
                np.add(out, taps.get(i, j), out=out)
            np.multiply(out, weight, out=out)

        return step

    def _behind(self, work: dict[str, Array], taps: Taps, dy: Array, give: Callable[[int, int], None]) -> BlockStep:
        weight = _share(taps.over, dy.dtype)

        def step(block: WindowBlock) -> None:
            np.multiply(dy[block.in_output], weight, out=taps.parts[0][block.in_buffer])
            for i, j in taps.order:
                give(i, j)

        return step


def _share(over: Windows, dtype: Any) -> Any:
    """1 / count of the elements that each window sees: (H′, W′, 1), or a number where nothing is padded."""
    counts = []
    for axis in over:
        seen = np.add.outer(np.arange(axis.output) * axis.stride - axis.before, np.arange(axis.kernel))
        counts.append(np.sum((seen >= 0) & (seen < axis.length), axis=1))
    share = (1 / np.multiply.outer(*counts)[..., None]).astype(dtype)
    return share if any(axis.padded > axis.length for axis in over) else share[0, 0, 0]


class AveragePool1D(AveragePool2D):
    """y[n, i] = the mean over k of x[n, i·s + k].   x (N, L, C) → y (N, L′, C); see `AveragePool2D`."""

    axes = 1


class GlobalPooling(Op):
    """Global max and average pooling: x (N, …, C) → y (N, C), over every axis between.

    Raises:
        ShapeError: for an input without an axis between batch and channels.
    """

    def shape(self, x: Shape) -> Shape:
        if len(x) < 3 or not all(isinstance(length, int) for length in x[1:]):
            raise ShapeError(f"{self.label}: x has shape {show(x)}; expected (N, …, C) with something in between.")
        return (x[0], x[-1])


class GlobalAveragePool(GlobalPooling):
    """y = the mean of x over all positions.   x (N, …, C) → y (N, C); ∂y/∂x = 1 / positions."""

    keeps_inputs = False

    def work(self, y: tuple[int, ...], x: tuple[int, ...]) -> dict[str, Buffer]:
        pieces = size(x[1:-1]) // PIECE if size(x[1:-1]) > MANY else 0
        parts = {"parts": Buffer((y[0], pieces + 1, y[1]), "forward")} if pieces else {}
        return parts | {"share": Buffer((y[0], 1, y[1]), "backward")}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, dy, dx = arrays
        flat = np.ascontiguousarray(x).reshape(len(x), -1, x.shape[-1])
        positions, out = flat.shape[1], y[:, None]
        weights = np.full((1, 1, positions), 1 / positions, y.dtype)

        def backward() -> None:
            np.multiply(dy[:, None], weights[0, 0, 0], out=work["share"])
            np.copyto(dx.reshape(flat.shape), work["share"])

        if "parts" not in work:
            return (lambda: np.matmul(weights, flat, out=out)), backward
        whole, parts = positions - positions % PIECE, work["parts"]
        pieces = flat[:, :whole].reshape(len(x), -1, PIECE, y.shape[1])

        def forward() -> None:
            np.matmul(weights[..., None, :PIECE], pieces, out=parts[:, :-1, None])
            np.matmul(weights[..., whole:], flat[:, whole:], out=parts[:, -1:])
            np.add.reduce(parts, axis=1, dtype=np.float64, out=y)

        return forward, backward


class GlobalMaxPool(GlobalPooling):
    """y = the maximum of x over all positions; ∂y/∂x = 1 at the first of them, else 0.   x (N, …, C) → y (N, C)."""

    keeps_output = True

    def _blocks(self, x: tuple[int, ...]) -> list[WindowBlock]:
        return cut(x[0], 1, size(x[1:-1]), 2 * x[-1])

    def work(self, y: tuple[int, ...], x: tuple[int, ...]) -> dict[str, Buffer]:
        part = (self._blocks(x)[0].images, size(x[1:-1]), x[-1])
        return {
            "order": Buffer(part, "backward"),
            "mask": Buffer(part, "backward", np.bool_),
            "first": Buffer((part[0], 1, part[2]), "backward"),
        }

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, dy, dx = arrays
        flat = x.reshape(len(x), -1, x.shape[-1])

        def forward() -> None:
            np.maximum.reduce(flat, axis=1, out=y)

        if dx is None:
            return forward, nothing
        spread = dx.reshape(flat.shape)
        # Falling with the position: the largest where x is the maximum belongs to the first maximum.
        falling = np.arange(flat.shape[1], 0, -1, dtype=y.dtype)[:, None]

        def backward(block: WindowBlock) -> None:
            images = slice(block.first, block.last)
            order, mask, first = (work[name][: block.images] for name in ("order", "mask", "first"))
            np.equal(flat[images], y[images, None], out=mask)
            np.copyto(order, falling)
            np.multiply(order, mask, out=order)
            np.maximum.reduce(order, axis=1, keepdims=True, out=first)
            np.equal(order, first, out=mask)
            np.copyto(order, dy[images, None])
            select(order, mask, spread[images])

        return forward, each(self._blocks(x.shape), backward)
