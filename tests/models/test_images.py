"""The networks for images: their layers counted by the paper's rule, their gradients, and images that are too small."""

from __future__ import annotations

import numpy as np
import pytest

from distnn import graph, models
from distnn.errors import ShapeError, UsageError
from distnn.graph import N
from distnn.models import Model

LABELS = tuple("abc")


def model(network, *shape):
    return Model(network, shape, task="classification", classes=LABELS)


def longest(network, shape):
    """The layers with weights of a network's main way: those that aren't a shortcut's."""
    names = model(network, *shape).names
    return len([name for name in names if name.endswith("weight") and "shortcut" not in name])


@pytest.mark.parametrize(
    ("depth", "channels"),
    [(8, [2, 3, 4]), (20, [2, 3, 4]), (18, [2, 3, 4, 5]), (10, [2, 3, 4, 5]), (4, [2]), (10, [2, 2])],
)
@pytest.mark.parametrize("shortcut", ["projection", "pad"])
def test_a_resnet_is_as_deep_as_it_says(depth, channels, shortcut):
    assert longest(models.resnet(3, depth, channels, shortcut=shortcut), (8, 8)) == depth


def test_resnet18_has_the_papers_size():
    """The paper's table 1: 11.2 million weights but for the larger first convolution and the thousand classes."""
    network = models.resnet(10, 18, [64, 128, 256, 512])
    found = Model(network, (32, 32, 3), task="classification", classes=tuple("0123456789"))
    parameters = found.initialize()
    trainable = sum(
        parameters.value[name].size for name in found.names if "mean" not in name and "variance" not in name
    )
    # the usual count of this variant for CIFAR-10, as in the implementation by Kuang Liu for PyTorch
    assert trainable == 11_173_962
    assert found.description == "ResNet-18: 32×32×3-64(×5)-128(×5)-256(×5)-512(×5)-10, relu"


def test_option_a_has_no_weights_in_its_shortcuts():
    names = model(models.resnet(3, 8, [2, 4, 4], shortcut="pad"), 9, 7).names
    assert not [name for name in names if "shortcut" in name]
    assert len([name for name in names if name.endswith("weight")]) == 8


@pytest.mark.parametrize(
    "network",
    [
        models.convnet(3, [2, 3], [4], "tanh", kernel=3),
        models.resnet(3, 8, [2, 3, 4], "tanh"),
        models.resnet(3, 8, [2, 3, 3], "tanh", shortcut="pad"),
    ],
    ids=["convnet", "projection", "pad"],
)
def test_the_gradient_of_the_whole_network(network):
    found = model(network, 6, 5)
    generator = np.random.default_rng(0)
    values = {"x": generator.normal(size=(4, 6, 5)), "y": generator.integers(0, 3, 4)}
    parameters = found.initialize(0, np.float64)
    assert graph.check_gradients(found.loss, values, batch=4, parameters=parameters) < 1e-5


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (
            lambda: models.resnet(3, 9),
            UsageError,
            r"depth is 9; expected 6 n \+ 2 with n blocks in each of 3 stages, such as 8, 14, 20 or 26",
        ),
        (lambda: models.resnet(3, 8, [2, 3, 4, 5]), UsageError, r"expected 8 n \+ 2 with n blocks in each of 4 stages"),
        (lambda: models.resnet(3, 2), UsageError, "depth is 2"),
        (lambda: models.resnet(3, 8, []), UsageError, r"channels is \[\]; expected a number for each stage\."),
        (lambda: models.resnet(3, 8, [3, 2, 2], shortcut="pad"), UsageError, "none below the one before"),
        (lambda: models.resnet(3, shortcut="bad"), UsageError, "shortcut is 'bad'; expected 'projection' or 'pad'"),
        (
            lambda: models.convnet(3, [2] * 5)(graph.input("x", (N, 28, 17))),
            ShapeError,
            r"convnet: its input has shape \(N, 28, 17\), too small for 5 stages: the image that stage 5 has to halve "
            "is 28 × 17 → 14 × 8 → 7 × 4 → 3 × 2 → 1 × 1. Give 4 channels at most",
        ),
        (
            lambda: models.resnet(3, 12, [2] * 5)(graph.input("x", (N, 8, 4, 1))),
            ShapeError,
            "ResNet-12: .* the image that stage 5 has to halve is 8 × 4 → 4 × 2 → 2 × 1 → 1 × 1. Give 4 channels",
        ),
        (
            lambda: models.convnet(3)(graph.input("x", (N, 784))),
            ShapeError,
            r"convnet: its input has shape \(N, 784\); expected images, \(N, height, width, channels\), or",
        ),
    ],
)
def test_what_does_not_fit_is_named(build, error, words):
    with pytest.raises(error, match=words):
        build()


def test_the_smallest_images_that_fit():
    assert model(models.convnet(3, [2, 2, 2]), 8, 8).output.shape == (N, 3)
    assert model(models.resnet(3, 8, [2, 2, 2]), 3, 1).output.shape == (N, 3)
