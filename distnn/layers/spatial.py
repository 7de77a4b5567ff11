"""Layers for sequences and images: convolutions and pooling."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

from distnn.arrays import show
from distnn.errors import ShapeError
from distnn.graph.functions import activate, reshape
from distnn.graph.node import Node, apply
from distnn.layers import initial
from distnn.layers.layer import Layer
from distnn.ops import pooling, subsample
from distnn.ops.by_name import ActivationLike
from distnn.ops.by_name import activation as check_activation
from distnn.ops.conv import convolution
from distnn.ops.op import Op
from distnn.ops.windows import lengths
from distnn.registry import Count, CountOrZero, Initialization, Lengths

Fitting = Literal["valid", "same"]
Sides = tuple[CountOrZero, CountOrZero]
Padding1D = Annotated[
    Fitting | CountOrZero | Sides, '"valid", "same", a number of zeros on each side, or [before, after]'
]
Padding2D = Annotated[
    Fitting | CountOrZero | Sides | tuple[Sides, Sides],
    '"valid", "same", a number of zeros on each side, [height, width], or [[top, bottom], [left, right]]',
]


class Spatial(Layer):
    """A layer over positions; what doesn't fit is named with the layer."""

    def _told(self, what: str, x: Node, op: Op, *weights: Node) -> Node:
        try:
            return apply(op, x, *weights)
        except ShapeError as error:
            raise ShapeError(f"{self.called(what)} on {show(x.shape)}: {error}") from None


@dataclass(eq=False, repr=False)
class Conv2D(Spatial, kind="conv2d"):
    """y[n, i, j] = f(Σₖₗ x[n, i·s + k·d − p, j·s + l·d − p] · W[k, l] + b), with x = 0 outside of the image.

    x (N, H, W, C), ``weight`` (kh, kw, C / groups, O), ``bias`` (O,) → y (N, H′, W′, O). Images without channels,
    (N, H, W), are taken for images of one channel. `distnn.ops.conv.convolution.Conv2D` has the details.

    >>> from distnn import graph
    >>> Conv2D(32, 3, "relu", padding="same")(graph.input("x", (graph.N, 28, 28)))
    <relu: relu (N, 28, 28, 32)>

    Raises:
        UsageError: for options out of range, an unknown activation or initialization.
        ShapeError: when called on what is no image, has other channels than at first, or is smaller than the kernel.
    """

    op: ClassVar[type[convolution.Conv2D]] = convolution.Conv2D

    filters: Count  #: the number of output channels O
    kernel: Lengths = 3  #: its size
    activation: ActivationLike = "identity"  #: f
    _: KW_ONLY
    stride: Lengths = 1  #: s
    padding: Padding2D = "valid"  #: valid, same (as in TensorFlow and Keras), or zeros on each side
    dilation: Lengths = 1  #: d
    groups: Count = 1  #: into which channels and filters are split
    bias: bool = True  #: false leaves b out
    initialization: Initialization = "auto"  #: of the weights, with fan-in kh · kw · C / groups

    def __post_init__(self) -> None:
        super().__post_init__()
        check_activation(self.activation)
        self.axes = self.op.axes
        self.size = lengths("kernel", self.kernel, self.axes)[: self.axes]
        self.convolution = partial(self.op, self.stride, self.padding, self.dilation, self.groups)
        self.convolution()  # refuses options out of range
        self.weights = initial.for_weights(self.initialization, self.activation)

    def __call__(self, x: Node) -> Node:
        if len(x.shape) == self.axes + 1 and all(isinstance(length, int) for length in x.shape[1:]):
            x = reshape(x, *x.shape[1:], 1)  # type: ignore[arg-type]
        size = self.size[0] if len(set(self.size)) == 1 else self.size
        what, channels = f"{self.filters}, {size}", x.shape[-1]
        if isinstance(channels, int) and channels % self.groups and not self.roles:
            raise ShapeError(
                f"{self.called(what)} on {show(x.shape)}: {channels} channels can't be split into {self.groups} groups "
                f"evenly."
            )
        each = channels // self.groups if isinstance(channels, int) else 1
        weight = self.parameter("weight", (*self.size, each, self.filters), self.weights)
        biases = [self.parameter("bias", (self.filters,), initial.zeros)] if self.bias else []
        return activate(self._told(what, x, self.convolution(), weight, *biases), self.activation)


@dataclass(eq=False, repr=False)
class Conv1D(Conv2D, kind="conv1d"):
    """y[n, i] = f(Σₖ x[n, i·s + k·d − p] · W[k] + b), with x = 0 outside of the sequence.

    x (N, L, C), ``weight`` (k, C / groups, O), ``bias`` (O,) → y (N, L′, O). Sequences without channels, (N, L), are
    taken for sequences of one channel. Arguments and errors are those of `Conv2D`, with one length for each pair.
    """

    op = convolution.Conv1D

    kernel: Count = 3
    _: KW_ONLY
    stride: Count = 1
    padding: Padding1D = "valid"
    dilation: Count = 1
    initialization: Initialization = "auto"  #: of the weights, with fan-in k · C / groups


@dataclass(eq=False, repr=False)
class Pool2D(Spatial):
    """Pooling of images.

    Raises:
        UsageError: for options out of range.
        ShapeError: when called on what has another number of axes, or is smaller than a window.
    """

    op: ClassVar[type[pooling.Pooling]]

    window: Lengths = 2  #: its size
    stride: Lengths | None = None  #: from window to window; the window's size if not given
    _: KW_ONLY
    #: valid: elements at the end that fill no window are left out; same: ⌈length / stride⌉ windows
    padding: Fitting = "valid"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.pooling = self.op(self.window, self.stride, self.padding)

    def __call__(self, x: Node) -> Node:
        return self._told(str(self.window), x, self.pooling)


@dataclass(eq=False, repr=False)
class Pool1D(Pool2D):
    """Pooling of sequences; arguments and errors are those of `Pool2D`, with one length for each pair."""

    window: Count = 2
    stride: Count | None = None


class MaxPool1D(Pool1D, kind="max_pool1d"):
    """The maximum of each window of a sequence, by channel.   x (N, L, C) → y (N, L′, C)."""

    op = pooling.MaxPool1D


class AveragePool1D(Pool1D, kind="average_pool1d"):
    """The mean of each window of a sequence, without its padding.   x (N, L, C) → y (N, L′, C)."""

    op = pooling.AveragePool1D


class MaxPool2D(Pool2D, kind="max_pool2d"):
    """The maximum of each window of an image, by channel.   x (N, H, W, C) → y (N, H′, W′, C)."""

    op = pooling.MaxPool2D


class AveragePool2D(Pool2D, kind="average_pool2d"):
    """The mean of each window of an image, without its padding.   x (N, H, W, C) → y (N, H′, W′, C)."""

    op = pooling.AveragePool2D


class GlobalAveragePool(Spatial, kind="global_average_pool"):
    """The mean of each channel over all positions.   x (N, …, C) → y (N, C)."""

    def __call__(self, x: Node) -> Node:
        return self._told("", x, pooling.GlobalAveragePool())


class GlobalMaxPool(Spatial, kind="global_max_pool"):
    """The maximum of each channel over all positions.   x (N, …, C) → y (N, C)."""

    def __call__(self, x: Node) -> Node:
        return self._told("", x, pooling.GlobalMaxPool())


@dataclass(eq=False, repr=False)
class Subsample(Spatial, kind="subsample"):
    """Every s-th pixel of an image, with channels of zeros behind its own: a residual block's shortcut without weights.

    x (N, H, W, C) → y (N, ⌈H/s⌉, ⌈W/s⌉, O); `distnn.ops.subsample.Subsample` has the details.

    Raises:
        UsageError: for options out of range.
        ShapeError: when called on what is no image, or has more channels than O.
    """

    channels: Count  #: O, at least C
    stride: Count = 1  #: s

    def __call__(self, x: Node) -> Node:
        return self._told(f"{self.channels}, {self.stride}", x, subsample.Subsample(self.channels, self.stride))
