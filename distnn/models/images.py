"""What the builders for images share: a network of stages that halve the image, which must be large enough for them."""

from __future__ import annotations

from distnn.arrays import show
from distnn.errors import ShapeError
from distnn.graph.node import Node
from distnn.layers import Layer, Sequential


class ImageNetwork(Sequential):
    """Layers one after the other, for images (N, H, W, C), or (N, H, W) of one channel.

    Arguments:
        layers: as of `Sequential`.
        title: what messages, and the description of a model, call it.
        halving: the numbers of the stages that halve height and width, from 1.
        padded: whether an odd length is rounded up, as strides with padding do; pooling rounds down.

    Raises:
        ShapeError: when called on what is no image, or an image with nothing left for a stage to halve.
    """

    def __init__(self, *layers: Layer, title: str, halving: range, padded: bool) -> None:
        super().__init__(*layers)
        self.title, self.halving, self.padded = title, halving, padded

    def __call__(self, x: Node) -> Node:
        """The node of the last layer's output for images x."""
        lengths = [length for length in x.shape[1:] if isinstance(length, int)]
        if len(x.shape) not in (3, 4) or len(lengths) != len(x.shape) - 1:
            raise ShapeError(
                f"{self.title}: its input has shape {show(x.shape)}; expected images, (N, height, width, channels), or "
                f"(N, height, width) for one channel."
            )
        height, width = lengths[:2]
        sizes = []
        for stage in self.halving:
            sizes.append(f"{height} × {width}")
            if (max if self.padded else min)(height, width) < 2:
                raise ShapeError(
                    f"{self.title}: its input has shape {show(x.shape)}, too small for {self.halving[-1]} stages: the "
                    f"image that stage {stage} has to halve is {' → '.join(sizes)}. Give {stage - 1} channels at most."
                ).at("model", "channels")
            height, width = ((height + self.padded) // 2, (width + self.padded) // 2)
        return super().__call__(x)
