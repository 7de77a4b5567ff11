"""Pooling: the maximum or the mean of each channel, over windows of a sequence or an image, or over all positions."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show, size
from distnn.errors import ShapeError, UsageError
from distnn.kernels.loading import compiled_kernels
from distnn.ops.blocks import BlockStep, Padded, WindowBlock, cut, each, tap_items
from distnn.ops.op import Buffer, Closures, Op, nothing
from distnn.ops.windows import Sides, Windows, check_output, image, lengths, windows


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
        return cut(y[0], 1, size(y[1:-1]), y[-1] * (3 + 2 * size(self.stride)))

    def work(self, y: tuple[int, ...], x: tuple[int, ...]) -> dict[str, Buffer]:
        over, block = self._windows(x), self._blocks(y)[0]
        part = (block.images, *image(self.label, y, self.axes)[1:])
        padded = (max(1, Padded.elements(image(self.label, x, self.axes), over, block.images)),)
        return {
            "forward": Buffer(padded, "forward"),
            "part": Buffer(part, "forward"),
            "backward": Buffer(padded, "backward"),
            "parts": Buffer((2, *part), "backward"),
        }

    def _images(self, *arrays: Any) -> list[Any]:
        contiguous = [None if a is None else np.ascontiguousarray(a) for a in arrays]
        return [None if a is None else a.reshape(image(self.label, a.shape, self.axes)) for a in contiguous]

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        over, blocks = self._windows(arrays[0].shape), self._blocks(y.shape)
        x, y, dy, dx = self._images(arrays[0], y, *arrays[1:])
        forward = each(blocks, self._ahead(work, _Gather(over, blocks, y, x, work), y, dx is not None))
        if dx is None:
            return forward, nothing
        return forward, each(blocks, self._behind(work, _Spread(over, blocks, dx, work), dy))

    def _ahead(self, work: dict[str, Array], gather: _Gather, y: Array, training: bool) -> BlockStep:
        """The step of forward for a block of images."""
        raise AssertionError(f"{type(self).__name__} has no forward")

    def _behind(self, work: dict[str, Array], spread: _Spread, dy: Array) -> BlockStep:
        """The step of backward for a block of images."""
        raise AssertionError(f"{type(self).__name__} has no backward")


class _Gather:
    """Copies what the windows see of x, one tap after the other."""

    def __init__(self, over: Windows, blocks: list[WindowBlock], y: Array, x: Array, work: dict[str, Array]) -> None:
        self.part, self.over = work["part"], over
        self.padded = Padded(x, over, blocks[0].images, work["forward"])
        self.source, self.items, self.first = tap_items(self.padded.array, over, self.part, y)
        self.order = list(np.ndindex(self.source.shape[:2]))

    def begin(self, block: WindowBlock, empty: float) -> None:
        """Load a block, its padding ``empty``, and copy what the first tap sees into y."""
        if block.start == 0:
            self.padded.clear(empty)
        self.padded.load(block)
        np.copyto(self.first[block.first : block.last], self.source[0, 0, self.padded.where(block)[0]])

    def get(self, block: WindowBlock, i: int, j: int) -> Array:
        """What tap i, j of the block's windows sees."""
        np.copyto(self.items[: block.images], self.source[i, j, self.padded.where(block)[0]])
        return self.part[: block.images]


class _Spread:
    """Puts the gradients of what the windows saw back into dx, added up where windows overlap."""

    def __init__(self, over: Windows, blocks: list[WindowBlock], dx: Array, work: dict[str, Array]) -> None:
        self.over, (self.part, self.other) = over, work["parts"]
        self.padded = Padded(dx, over, blocks[0].images, work["backward"])
        self.target, self.items, self.others = tap_items(self.padded.array, over, self.part, self.other)
        self.order = list(np.ndindex(self.target.shape[:2]))
        self.apart = all(axis.stride >= axis.kernel for axis in over)
        self.covered = all(axis.stride == axis.kernel and axis.output * axis.kernel == axis.padded for axis in over)

    def begin(self, block: WindowBlock) -> None:
        """Prepare a block of dx: zeros where not every element will be written."""
        if not self.covered:
            self.padded.array[self.padded.where(block)[0]].fill(0)

    def put(self, block: WindowBlock, i: int, j: int) -> None:
        """Put ``part`` where tap i, j of the block's windows saw."""
        seen, count = self.target[i, j, self.padded.where(block)[0]], block.images
        if self.apart:
            np.copyto(seen, self.items[:count])
            return
        np.copyto(self.others[:count], seen)
        np.add(self.other[:count], self.part[:count], out=self.other[:count])
        np.copyto(seen, self.others[:count])


class MaxPool2D(Pooling):
    """y[n, i, j] = maxₖₗ x[n, i·s + k, j·s + l], channel by channel; ∂y/∂x = 1 at the window's first maximum, else 0.

    x (N, H, W, C) → y (N, H′, W′, C), H′ = ⌊(H − window) / s⌋ + 1. The first is meant row by row. Forward saves
    the tap of each maximum, so that backward needs neither x nor y.
    """

    kernels = "pooling"

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
        x, dy, dx = self._images(arrays[0], *arrays[1:])
        winner, (down, across) = work["winner"], self.stride

        def forward() -> None:
            kernels.maximum(x, down, across, y, winner)

        def backward() -> None:
            kernels.spread(dy, winner, down, across, dx)

        return forward, nothing if dx is None else backward

    def _ahead(self, work: dict[str, Array], gather: _Gather, y: Array, training: bool) -> BlockStep:
        winner, rivals, better = work["winner"], work["rival"], work["better"]

        def step(block: WindowBlock) -> None:
            images = slice(block.first, block.last)
            out, won, rival, more = y[images], winner[images], rivals[: block.images], better[: block.images]
            gather.begin(block, -np.inf)
            won.fill(0)
            for k, (i, j) in enumerate(gather.order[1:], 1):
                part = gather.get(block, i, j)
                if training:
                    np.greater(part, out, out=more)
                    np.copyto(rival, more)
                    np.multiply(rival, k, out=rival)
                    np.maximum(won, rival, out=won)
                np.maximum(out, part, out=out)

        return step

    def _behind(self, work: dict[str, Array], spread: _Spread, dy: Array) -> BlockStep:
        winner, mask = work["winner"], work["mask"]

        def step(block: WindowBlock) -> None:
            images, hit = slice(block.first, block.last), mask[: block.images]
            spread.begin(block)
            for k, (i, j) in enumerate(spread.order):
                np.equal(winner[images], k, out=hit)
                np.multiply(dy[images], hit, out=spread.part[: block.images])
                spread.put(block, i, j)
            spread.padded.unload(block)

        return step


class MaxPool1D(MaxPool2D):
    """y[n, i] = maxₖ x[n, i·s + k], channel by channel.   x (N, L, C) → y (N, L′, C); see `MaxPool2D`."""

    axes = 1


class AveragePool2D(Pooling):
    """y[n, i, j] = the mean over k, l of x[n, i·s + k, j·s + l], channel by channel.

    x (N, H, W, C) → y (N, H′, W′, C), H′ = ⌊(H − window) / s⌋ + 1. Padding isn't counted: a window at the edge has the
    mean of what it sees, as in TensorFlow and Keras. ∂y/∂x = 1 / count.
    """

    def _ahead(self, work: dict[str, Array], gather: _Gather, y: Array, training: bool) -> BlockStep:
        weight = _share(gather.over, y.dtype)

        def step(block: WindowBlock) -> None:
            out = y[block.first : block.last]
            gather.begin(block, 0)
            for i, j in gather.order[1:]:
                np.add(out, gather.get(block, i, j), out=out)
            np.multiply(out, weight, out=out)

        return step

    def _behind(self, work: dict[str, Array], spread: _Spread, dy: Array) -> BlockStep:
        weight = _share(spread.over, dy.dtype)

        def step(block: WindowBlock) -> None:
            spread.begin(block)
            np.multiply(dy[block.first : block.last], weight, out=spread.part[: block.images])
            for i, j in spread.order:
                spread.put(block, i, j)
            spread.padded.unload(block)

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
        return {"share": Buffer((y[0], 1, y[1]), "backward")}

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, dy, dx = arrays
        flat = np.ascontiguousarray(x).reshape(len(x), -1, x.shape[-1])
        positions, share = flat.shape[1], work.get("share")
        weights = np.full((1, 1, positions), 1 / positions, y.dtype)
        out = y[:, None]

        def forward() -> None:
            np.matmul(weights, flat, out=out)

        if dx is None:
            return forward, nothing
        spread, upper = dx.reshape(flat.shape), dy[:, None]

        def backward() -> None:
            np.multiply(upper, weights[0, 0, 0], out=share)
            np.copyto(spread, share)  # type: ignore[arg-type]

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
            np.multiply(order, mask, out=spread[images])

        return forward, each(self._blocks(x.shape), backward)
