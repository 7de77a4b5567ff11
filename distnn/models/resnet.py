"""The residual network for small images."""

from __future__ import annotations

from collections.abc import Sequence

from distnn.errors import UsageError
from distnn.layers import BatchNorm, Conv2D, Dense, GlobalAveragePool, Layer, Residual, Sequential
from distnn.layers.activation import Activation


def resnet(
    outputs: int,
    depth: int = 14,
    channels: Sequence[int] = (16, 32, 64),
    activation: str = "relu",
) -> Layer:
    """A first convolution, three stages of basic blocks, the mean over the positions, and a dense layer.

    Images (N, H, W, C), or (N, H, W) of one channel → (N, outputs). Each block is two 3 × 3 convolutions with batch
    normalisation and a shortcut around them; the first block of the second and third stage halves height and width,
    and its shortcut is a 1 × 1 convolution (option B). Source: He, Zhang, Ren and Sun, Deep Residual Learning for Image
    Recognition, 2016, section 4.2.

    Arguments:
        outputs: of the last layer.
        depth: 6 n + 2 for n blocks a stage: 8, 14, 20, 32, …
        channels: of the three stages.
        activation: after each normalisation.

    Raises:
        UsageError: for another depth.
    """
    blocks, rest = divmod(depth - 2, 6)
    if blocks < 1 or rest:
        raise UsageError(f"resnet: depth is {depth}; expected 6 n + 2 with n ≥ 1, such as 8, 14, 20 or 32.")
    layers: list[Layer] = [_convolution(channels[0], 3), BatchNorm(), Activation(activation)]
    before = channels[0]
    for stage, filters in enumerate(channels):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            layers += [_block(before, filters, stride, activation), Activation(activation)]
            before = filters
    return Sequential(*layers, GlobalAveragePool(), Dense(outputs))


def _convolution(filters: int, kernel: int, stride: int = 1) -> Conv2D:
    """Without a bias, which the normalisation after it would take away."""
    return Conv2D(filters, kernel, stride=stride, padding="same", bias=False, initialization="he")


def _block(before: int, filters: int, stride: int, activation: str) -> Layer:
    inner = Sequential(
        _convolution(filters, 3, stride),
        BatchNorm(),
        Activation(activation),
        _convolution(filters, 3),
        BatchNorm(),
    )
    same = stride == 1 and before == filters
    return Residual(inner, None if same else Sequential(_convolution(filters, 1, stride), BatchNorm()))
