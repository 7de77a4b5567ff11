"""The shortcut without parameters of a residual block that halves the image and widens its channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show
from distnn.errors import ShapeError, UsageError
from distnn.ops.op import Closures, Op
from distnn.ops.windows import image


class Subsample(Op):
    """y[n, i, j, :C] = x[n, i·s, j·s], and 0 in the channels from C on.   x (N, H, W, C) → y (N, ⌈H/s⌉, ⌈W/s⌉, O).

    ∂J/∂x is dy at the pixels that were taken, 0 elsewhere. Source: He, Zhang, Ren and Sun, Deep Residual Learning for
    Image Recognition, 2016, section 4.1, option A.

    Arguments:
        channels: O, at least C.
        stride: s.

    Raises:
        UsageError: for fewer than one channel, or a stride below 1.
        ShapeError: by the shape rule, for an input that is no image or has more channels than O.
    """

    keeps_inputs, cost = False, 0

    def __init__(self, channels: int, stride: int = 1) -> None:
        if channels < 1 or stride < 1:
            raise UsageError(f"subsample: channels is {channels} and stride {stride}; expected at least 1 each.")
        self.channels, self.stride = channels, stride

    def shape(self, x: Shape) -> Shape:
        n, height, width, channels = image(self.label, x, 2)
        if channels > self.channels:
            raise ShapeError(
                f"subsample: x has shape {show(x)}; expected at most {self.channels} channels, the output's."
            )
        return (n, -(-height // self.stride), -(-width // self.stride), self.channels)

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, dy, dx = arrays
        step, channels = self.stride, x.shape[3]
        taken = x[:, ::step, ::step]

        def forward() -> None:
            np.copyto(y[..., :channels], taken)
            np.copyto(y[..., channels:], 0)

        def backward() -> None:
            np.copyto(dx, 0)
            np.copyto(dx[:, ::step, ::step], dy[..., :channels])

        return forward, backward
