"""The plain convolutional network: convolutions and pooling, then dense layers."""

from __future__ import annotations

from distnn.layers import Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D
from distnn.models.images import ImageNetwork
from distnn.models.kinds import model
from distnn.ops.by_name import ActivationLike
from distnn.registry import BelowOne, Channels, Count, Initialization, Widths


@model("convnet", "regression", "classification")
def convnet(
    outputs: int,
    channels: Channels = (32, 64),  #: the filters of each convolution; each halves the image's height and width
    hidden: Widths = (128,),  #: the units of each dense layer before the last
    activation: ActivationLike = "relu",  #: after every layer but the last
    *,
    kernel: Count = 3,  #: the height and width of the filters; the image is padded to keep its size
    dropout: BelowOne = 0.0,  #: the rate before each dense layer; 0 for none
    initialization: Initialization = "auto",
) -> Layer:
    """For each of ``channels`` a convolution with its activation and a 2 × 2 maximum, then dense layers.

    Images (N, H, W, C), or (N, H, W) of one channel → (N, outputs). Source: LeCun, Bottou, Bengio and Haffner,
    Gradient-based learning applied to document recognition, 1998, with the maximum and ReLU of later years.

    Raises:
        UsageError: for options that `Conv2D`, `Dropout` or `Dense` refuse.
    """
    layers: list[Layer] = []
    for filters in channels:
        layers.append(Conv2D(filters, kernel, activation, padding="same", initialization=initialization))
        layers.append(MaxPool2D(2))
    layers.append(Flatten())
    for units in hidden:
        layers += [*noise(dropout), Dense(units, activation, initialization=initialization)]
    layers += [*noise(dropout), Dense(outputs, initialization=initialization)]
    return ImageNetwork(*layers, title="convnet", halving=range(1, len(channels) + 1), padded=False)


def noise(rate: float) -> list[Layer]:
    """A dropout of this rate, or none for 0."""
    return [Dropout(rate)] if rate else []
