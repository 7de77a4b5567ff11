"""The fully convolutional network: an output for each pixel."""

from __future__ import annotations

from distnn.layers import Conv2D, Dense, Layer
from distnn.models.images import ImageNetwork
from distnn.models.kinds import model
from distnn.ops.by_name import ActivationLike
from distnn.registry import Channels, Count, Initialization, Widths


@model("fcn", "segmentation", "regression", dense=True)
def fcn(
    outputs: int,
    channels: Channels = (32, 32, 32),  #: the filters of each convolution, which keeps the image's height and width
    activation: ActivationLike = "relu",  #: after every convolution
    *,
    kernel: Count = 3,  #: the height and width of the filters; the image is padded to keep its size
    dilations: Widths = (1, 2, 4),  #: how far apart what each filter looks at is; 1 beyond the list
    initialization: Initialization = "auto",
) -> Layer:
    """For each of ``channels`` a convolution with its activation, then a linear layer at each pixel.

    Images (N, H, W, C), or (N, H, W) of one channel → (N, H, W, outputs), for labels of pixels (N, H, W), or images to
    be predicted (N, H, W) or (N, H, W, outputs). An output depends on the pixels that are at most
    Σ dilation · (kernel − 1) / 2 away. Sources: Long, Shelhamer and Darrell, Fully convolutional networks for semantic
    segmentation, 2015; for the dilations Yu and Koltun, Multi-scale context aggregation by dilated convolutions, 2016.

    Raises:
        UsageError: for options that `Conv2D` refuses.
    """
    far = (*dilations, *[1] * len(channels))
    layers: list[Layer] = [
        Conv2D(filters, kernel, activation, padding="same", dilation=dilation, initialization=initialization)
        for filters, dilation in zip(channels, far, strict=False)
    ]
    last = Dense(outputs, initialization=initialization)
    return ImageNetwork(*layers, last, title="fcn", halving=range(0), padded=False)
