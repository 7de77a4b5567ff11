"""The residual network for small images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from distnn.errors import UsageError
from distnn.layers import BatchNorm, Conv2D, Dense, GlobalAveragePool, Layer, Residual, Sequential, Subsample
from distnn.layers.activation import Activation
from distnn.models.images import ImageNetwork
from distnn.models.kinds import model
from distnn.ops.by_name import ActivationLike
from distnn.registry import Channels, Count


@model("resnet", "regression", "classification")
def resnet(
    outputs: int,
    #: the layers with weights on the longest way: 2 · n · stages + 2 for n blocks in each stage
    depth: Count = 14,
    channels: Channels = (16, 32, 64),  #: the filters of each stage
    activation: ActivationLike = "relu",  #: after each normalisation
    *,
    #: around a block that changes the shape: a 1 × 1 convolution (He et al.'s option B), or zeros for new channels (A)
    shortcut: Literal["projection", "pad"] = "projection",
) -> Layer:
    """A first convolution, stages of basic blocks, the mean over the positions, and a dense layer.

    Images (N, H, W, C), or (N, H, W) of one channel → (N, outputs). Each block is two 3 × 3 convolutions with batch
    normalisation and a shortcut around them; the first block of each stage but the first halves height and width.
    Source: He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, 2016, sections 4.1 and 4.2. Three
    stages of 16, 32 and 64 channels are the paper's networks for CIFAR-10; four of 64, 128, 256 and 512 with depth 18
    are its ResNet-18, here with the first convolution for small images (3 × 3, no stride, no pooling).

    Raises:
        UsageError: for another depth or shortcut, no channels, or fewer of them than before with ``pad``.
    """
    _check(channels, shortcut)
    blocks = _blocks(depth, len(channels))
    layers: list[Layer] = [_convolution(channels[0], 3), BatchNorm(), Activation(activation)]
    before = channels[0]
    for stage, filters in enumerate(channels):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            layers += [_block(before, filters, stride, activation, shortcut), Activation(activation)]
            before = filters
    return ImageNetwork(
        *layers,
        GlobalAveragePool(),
        Dense(outputs),
        title=f"ResNet-{depth}",
        halving=range(2, len(channels) + 1),
        padded=True,
    )


def _check(channels: Sequence[int], shortcut: str) -> None:
    if shortcut not in ("projection", "pad"):
        raise UsageError(f"resnet: shortcut is '{shortcut}'; expected 'projection' or 'pad'.")
    if not channels or (shortcut == "pad" and list(channels) != sorted(channels)):
        raise UsageError(
            f"resnet: channels is {list(channels)}; expected a number for each stage"
            f"{', none below the one before: shortcut is pad, which adds channels' if channels else ''}."
        ).at("model", "channels")


def _blocks(depth: int, stages: int) -> int:
    """n, the blocks of each stage."""
    blocks, rest = divmod(depth - 2, 2 * stages)
    if blocks < 1 or rest:
        *most, last = (str(2 * stages * n + 2) for n in (1, 2, 3, 4))
        raise UsageError(
            f"resnet: depth is {depth}; expected {2 * stages} n + 2 with n blocks in each of {stages} stages, such as "
            f"{', '.join(most)} or {last}."
        ).at("model", "depth")
    return blocks


def _convolution(filters: int, kernel: int, stride: int = 1) -> Conv2D:
    """Without a bias, which the normalisation after it would take away."""
    return Conv2D(filters, kernel, stride=stride, padding="same", bias=False, initialization="he")


def _block(before: int, filters: int, stride: int, activation: ActivationLike, shortcut: str) -> Layer:
    inner = Sequential(
        _convolution(filters, 3, stride),
        BatchNorm(),
        Activation(activation),
        _convolution(filters, 3),
        BatchNorm(),
    )
    if stride == 1 and before == filters:
        return Residual(inner)
    if shortcut == "pad":
        return Residual(inner, Subsample(filters, stride))
    return Residual(inner, Sequential(_convolution(filters, 1, stride), BatchNorm()))
