"""Layers for sequences and images: convolutions and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distnn.arrays import show
from distnn.errors import ShapeError, UsageError
from distnn.graph.functions import activate, reshape
from distnn.graph.node import Node, apply
from distnn.layers import initial
from distnn.layers.layer import Layer
from distnn.ops import pooling, subsample
from distnn.ops.activation import Activation
from distnn.ops.by_name import activation as check_activation
from distnn.ops.conv import convolution
from distnn.ops.op import Op
from distnn.ops.windows import Padding, lengths


class Spatial(Layer):
    """A layer over positions; what doesn't fit is named with the layer."""

    def _told(self, what: str, x: Node, op: Op, *weights: Node) -> Node:
        try:
            return apply(op, x, *weights)
        except ShapeError as error:
            raise ShapeError(f"{self._title(what)} on {show(x.shape)}: {error}") from None

    def _title(self, what: str) -> str:
        name = f", name={self.name!r}" if self.name else ""
        return f"{type(self).__name__}({what}{name})" if what else f"{type(self).__name__}({name[2:]})"


class Conv2D(Spatial):
    """y[n, i, j] = f(Σₖₗ x[n, i·s + k·d − p, j·s + l·d − p] · W[k, l] + b), with x = 0 outside of the image.

    x (N, H, W, C), ``weight`` (kh, kw, C / groups, O), ``bias`` (O,) → y (N, H′, W′, O). Images without channels,
    (N, H, W), are taken for images of one channel. `distnn.ops.conv.convolution.Conv2D` has the details.

    >>> from distnn import graph
    >>> Conv2D(32, 3, "relu", padding="same")(graph.input("x", (graph.N, 28, 28)))
    <relu: relu (N, 28, 28, 32)>

    Arguments:
        filters: the number of output channels O.
        kernel: its size, one number or (height, width).
        activation: f, by its name in `distnn.ops.by_name`, or an op such as ``LeakyReLU(0.2)``.
        stride: s, one number or (height, width).
        padding: ``valid``, ``same`` (as in TensorFlow and Keras), a number of zeros on each side, (height, width), or
            ((top, bottom), (left, right)).
        dilation: d, one number or (height, width).
        groups: into which channels and filters are split.
        bias: False leaves b out.
        initialization: of the weights: auto, glorot or he, with fan-in kh · kw · C / groups.
        name: the layer's name.

    Raises:
        UsageError: for options out of range, an unknown activation or initialization.
        ShapeError: when called on what is no image, has other channels than at first, or is smaller than the kernel.
    """

    axes = 2

    def __init__(
        self,
        filters: int,
        kernel: int | Sequence[int] = 3,
        activation: str | Activation = "identity",
        *,
        stride: int | Sequence[int] = 1,
        padding: Padding = "valid",
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        initialization: str = "auto",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if filters < 1:
            raise UsageError(f"{type(self).__name__}: filters is {filters}; expected at least 1.")
        check_activation(activation)
        self.filters, self.activation, self.bias, self.groups = filters, activation, bias, groups
        self.kernel = lengths("kernel", kernel, self.axes)[: self.axes]
        self.options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        self._op()  # refuses options out of range
        self.weights = initial.for_weights(initialization, activation)

    def _op(self) -> Op:
        return convolution.Conv2D(**self.options)

    def __call__(self, x: Node) -> Node:
        if len(x.shape) == self.axes + 1 and all(isinstance(length, int) for length in x.shape[1:]):
            x = reshape(x, *x.shape[1:], 1)  # type: ignore[arg-type]
        size = self.kernel[0] if len(set(self.kernel)) == 1 else self.kernel
        what, channels = f"{self.filters}, {size}", x.shape[-1]
        if isinstance(channels, int) and channels % self.groups and not self.roles:
            raise ShapeError(
                f"{self._title(what)} on {show(x.shape)}: {channels} channels can't be split into {self.groups} groups "
                f"evenly."
            )
        each = channels // self.groups if isinstance(channels, int) else 1
        weight = self.parameter("weight", (*self.kernel, each, self.filters), self.weights)
        biases = [self.parameter("bias", (self.filters,), initial.zeros)] if self.bias else []
        return activate(self._told(what, x, self._op(), weight, *biases), self.activation)


class Conv1D(Conv2D):
    """y[n, i] = f(Σₖ x[n, i·s + k·d − p] · W[k] + b), with x = 0 outside of the sequence.

    x (N, L, C), ``weight`` (k, C / groups, O), ``bias`` (O,) → y (N, L′, O). Sequences without channels, (N, L), are
    taken for sequences of one channel. Arguments and errors are those of `Conv2D`, with one number each; padding may
    also be (before, after).
    """

    axes = 1

    def _op(self) -> Op:
        return convolution.Conv1D(**self.options)


class Pool(Spatial):
    """What the pooling layers share.

    Arguments:
        window: its size, one number or, for images, (height, width).
        stride: from window to window; the window's size if None.
        padding: ``valid``: elements at the end that fill no window are left out; ``same``: ⌈H / stride⌉ windows.
        name: the layer's name.

    Raises:
        UsageError: for options out of range.
        ShapeError: when called on what has another number of axes, or is smaller than a window.
    """

    op: type[pooling.Pooling]

    def __init__(
        self,
        window: int | Sequence[int] = 2,
        stride: int | Sequence[int] | None = None,
        *,
        padding: str = "valid",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.options: dict[str, Any] = {"window": window, "stride": stride, "padding": padding}
        self.op(**self.options)  # refuses options out of range

    def __call__(self, x: Node) -> Node:
        return self._told(str(self.options["window"]), x, self.op(**self.options))


class MaxPool2D(Pool):
    """The maximum of each window of an image, by channel.   x (N, H, W, C) → y (N, H′, W′, C); see `Pool`."""

    op = pooling.MaxPool2D


class MaxPool1D(Pool):
    """The maximum of each window of a sequence, by channel.   x (N, L, C) → y (N, L′, C); see `Pool`."""

    op = pooling.MaxPool1D


class AveragePool2D(Pool):
    """The mean of each window of an image, without its padding.   x (N, H, W, C) → y (N, H′, W′, C); see `Pool`."""

    op = pooling.AveragePool2D


class AveragePool1D(Pool):
    """The mean of each window of a sequence, without its padding.   x (N, L, C) → y (N, L′, C); see `Pool`."""

    op = pooling.AveragePool1D


class GlobalAveragePool(Spatial):
    """The mean of each channel over all positions.   x (N, …, C) → y (N, C)."""

    def __call__(self, x: Node) -> Node:
        return self._told("", x, pooling.GlobalAveragePool())


class GlobalMaxPool(Spatial):
    """The maximum of each channel over all positions.   x (N, …, C) → y (N, C)."""

    def __call__(self, x: Node) -> Node:
        return self._told("", x, pooling.GlobalMaxPool())


class Subsample(Spatial):
    """Every s-th pixel of an image, with channels of zeros behind its own: a residual block's shortcut without weights.

    x (N, H, W, C) → y (N, ⌈H/s⌉, ⌈W/s⌉, O); `distnn.ops.subsample.Subsample` has the details.

    Arguments:
        channels: O, at least C.
        stride: s.
        name: the layer's name.

    Raises:
        UsageError: for options out of range.
        ShapeError: when called on what is no image, or has more channels than O.
    """

    def __init__(self, channels: int, stride: int = 1, *, name: str | None = None) -> None:
        super().__init__(name)
        self.op = subsample.Subsample(channels, stride)

    def __call__(self, x: Node) -> Node:
        return self._told(f"{self.op.channels}, {self.op.stride}", x, self.op)
