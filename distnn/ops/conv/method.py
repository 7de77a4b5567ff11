"""What every way of computing a convolution gives."""

from __future__ import annotations

from typing import Protocol

from distnn.arrays import Array
from distnn.ops.blocks import BlockStep, WindowBlock
from distnn.ops.op import Buffer, Closure

#: A closure that starts a pass over the blocks, and the step for each of them.
Pass = tuple[Closure, BlockStep]


class Method(Protocol):
    """A way of computing a convolution of images x (N, H, W, C) with a weight (kh, kw, C / groups, O).

    It is made from their shapes and the windows, asks for the buffers of ``work``, and binds three computations to the
    arrays. Forward and the gradient of the weight are passes over ``blocks`` of the output y (N, H′, W′, O), so that
    other passes, such as a bias and an activation, may see a block while it is in the cache. The gradient of the images
    is a closure of its own, since its blocks are those of the images.
    """

    @property
    def blocks(self) -> list[WindowBlock]:
        """Of the output, in order; the first is the largest."""

    def work(self) -> dict[str, Buffer]:
        """The buffers that the computations need, by their names in ``work``."""

    def forward(self, work: dict[str, Array], y: Array, x: Array, weight: Array) -> Pass:
        """Write y."""

    def weight_gradient(self, work: dict[str, Array], dweight: Array, x: Array, dy: Array) -> Pass:
        """Write ∂J/∂weight: the first block writes its part of the sum, the others add theirs."""

    def input_gradient(self, work: dict[str, Array], dx: Array, dy: Array, weight: Array) -> Closure:
        """Write ∂J/∂x."""
