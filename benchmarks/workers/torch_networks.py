"""The networks of the cases in PyTorch, and how they take over distnn's first values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from protocol import TOKENS
from torch import nn


class Convolution(nn.Conv2d):
    """A convolution whose stride of 2 begins with the first pixels, as in TensorFlow and distnn, while `exact` is set.

    PyTorch begins with the padding, and has no fast way for the other: that is for comparing losses, not for the clock.
    """

    exact = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.exact or self.stride == (1, 1) or self.kernel_size == (1, 1):
            return super().forward(x)
        return nn.functional.conv2d(nn.functional.pad(x, (0, 1, 0, 1)), self.weight, None, self.stride)


class Block(nn.Module):
    """A residual block of two convolutions, with a projection where the shape changes (He et al., 2016)."""

    def __init__(self, before: int, filters: int, stride: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(*convolution(before, filters, stride), nn.ReLU(), *convolution(filters, filters))
        same = stride == 1 and before == filters
        self.shortcut = nn.Identity() if same else nn.Sequential(*convolution(before, filters, stride, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.inner(x) + self.shortcut(x))


class CharLSTM(nn.Module):
    """A language model of characters; of the cell's two biases, which are added up, the second stays 0."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, 64)
        self.lstm = nn.LSTM(64, 256, batch_first=True)
        self.dense = nn.Linear(256, TOKENS)
        nn.init.zeros_(self.lstm.bias_hh_l0).requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(self.lstm(self.embedding(x))[0])

    def load(self, first: Sequence[np.ndarray]) -> None:
        """Take over the values."""
        targets = [self.embedding.weight, self.lstm.weight_ih_l0, self.lstm.weight_hh_l0, self.lstm.bias_ih_l0]
        targets += [self.dense.weight, self.dense.bias]
        with torch.no_grad():
            for place, (target, values) in enumerate(zip(targets, first, strict=True)):
                target.copy_(torch.from_numpy(np.ascontiguousarray(values if place == 0 else values.T)))


def convolution(before: int, filters: int, stride: int = 1, kernel: int = 3) -> list[nn.Module]:
    layer = Convolution(before, filters, kernel, stride, kernel // 2, bias=False)
    return [layer, nn.BatchNorm2d(filters)]


def build(network: str, widths: Sequence[int]) -> nn.Module:
    """The network; images are (N, 1, 28, 28), perceptrons' inputs (N, widths[0]), texts (N, LENGTH)."""
    if network == "char-lstm":
        return CharLSTM()
    if network == "mlp":
        layers = [nn.Linear(i, o) for i, o in pairwise(widths)]
        return nn.Sequential(*[module for layer in layers for module in (layer, nn.ReLU())][:-1])
    if network == "lenet":
        first = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        second = [nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
        return nn.Sequential(*first, *second, nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10))
    shapes = [(16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
    blocks = [Block(*shape) for shape in shapes]
    ends = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(*convolution(1, 16), nn.ReLU(), *blocks, *ends)


def load(model: nn.Module, first: Sequence[np.ndarray]) -> None:
    """Take over the values, of the same layers in the same order."""
    if isinstance(model, CharLSTM):
        model.load(first)
        return
    channels = 0
    with torch.no_grad():
        for target, values in zip(model.parameters(), first, strict=True):
            theirs = values
            if values.ndim == 4:
                channels, theirs = values.shape[3], values.transpose(3, 2, 0, 1)
            elif values.ndim == 2:
                if channels and len(values) > channels:  # flattened images: PyTorch has their channels first
                    theirs = values.reshape(-1, channels, values.shape[1]).swapaxes(0, 1).reshape(values.shape)
                theirs, channels = theirs.T, 0
            target.copy_(torch.from_numpy(np.ascontiguousarray(theirs)))
