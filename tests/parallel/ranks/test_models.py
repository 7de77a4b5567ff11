"""With the same micro-shards every kind of model has the same gradients on any number of ranks, its noise included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mpi4py import MPI

from distnn.data.augment import Augmentation
from distnn.data.loader import Loader
from distnn.layers import (
    GRU,
    LSTM,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalMaxPool,
    Layer,
    LayerNorm,
    Maxout,
    MaxPool2D,
    Residual,
    Sequential,
    SimpleRNN,
)
from distnn.models import Model, char_lstm, linear, logistic, mlp, softmax
from distnn.models.convnet import convnet
from distnn.models.resnet import resnet
from distnn.optim import SGD
from distnn.parallel.world import World
from tests.support.runs import once
from tests.support.steps import step_of

WORLD = World.open(MPI.COMM_WORLD)
SAMPLES, BATCH, SHARDS = 110, 48, 4
TOKENS, STEPS = 7, 5


def residual() -> Layer:
    block = Residual(Sequential(Dense(8, "tanh"), Dropout(0.3), Dense(8)))
    return Sequential(Flatten(), Dense(8), BatchNorm(), block, BatchNorm(), Dropout(0.2), Dense(3))


def depthwise() -> Layer:
    layers = [Conv2D(4, 3), Conv2D(4, 3, "gelu", groups=4, padding="same"), BatchNorm(), MaxPool2D(2, padding="same")]
    return Sequential(*layers, Dropout(0.5), GlobalMaxPool(), Dense(3))


def pieces() -> Layer:
    return Sequential(Flatten(), Maxout(9, 3), LayerNorm(), Dropout(0.1), Dense(3))


def sequence() -> Layer:
    return Sequential(
        Conv1D(6, 3, "elu", dilation=2), Dropout(0.3), GRU(5), BatchNorm(), SimpleRNN(4), Flatten(), Dense(3)
    )


#: The shape of a sample, the classes (0: a regression with three outputs; None: a language), and the network.
MODELS: dict[str, tuple[tuple[int, ...], int | None, Callable[[], Layer]]] = {
    "linear": ((6,), 0, lambda: linear(3)),
    "logistic": ((6,), 2, logistic),
    "softmax": ((6,), 3, lambda: softmax(3)),
    "mlp": ((6, 4), 3, lambda: mlp(3, (9, 8), "tanh")),
    "residual with dropout and batch norm": ((6,), 0, residual),
    "maxout and layer norm": ((6,), 3, pieces),
    "convnet with dropout": ((7, 6, 2), 3, lambda: convnet(3, (4, 6), (8,), dropout=0.4)),
    "grouped convolution and pooling": ((8, 7, 2), 3, depthwise),
    "resnet": ((9, 7), 3, lambda: resnet(3, depth=8, channels=(4, 6, 8))),
    "lstm": ((8, 3), 3, lambda: Sequential(LSTM(6), Dropout(0.3), LSTM(5, last=True), Dense(3))),
    "convolution, gru and rnn": ((8, 3), 0, sequence),
    "char-lstm": ((STEPS,), None, lambda: char_lstm(TOKENS, 4, (6, 5), dropout=0.3)),
}


def build(name: str) -> tuple[Model, np.ndarray, np.ndarray]:
    """The model, and random samples and targets for it."""
    shape, classes, network = MODELS[name]
    generator = np.random.default_rng(0)
    if classes is None:
        text = generator.integers(0, TOKENS, (SAMPLES, STEPS + 1))
        tokens = [chr(97 + k) for k in range(TOKENS)]
        model = Model(network(), shape, task="language", classes=tokens, target_shape=shape)
        return model, text[:, :-1], text[:, 1:]
    x = generator.normal(size=(SAMPLES, *shape))
    if classes:
        model = Model(network(), shape, task="classification", classes=[f"class {k}" for k in range(classes)])
        return model, x, generator.integers(0, classes, SAMPLES)
    return Model(network(), shape, task="regression", target_shape=(3,)), x, generator.normal(size=(SAMPLES, 3))


def gradients(comm: Any, name: str, dtype: type) -> list[tuple[np.ndarray, float, int]]:
    """The summed gradients, the loss and the samples of two whole batches and a ragged one, each cut into shards."""
    model, x, y = build(name)
    floats = [array.astype(dtype) if array.dtype.kind == "f" else array for array in (x, y)]
    augmentation = Augmentation(SAMPLES, x.shape[1:], flip=True, shift=2) if x.ndim > 2 else None
    loader = Loader(dict(zip("xy", floats, strict=True)), augmentation=augmentation)
    if augmentation:
        augmentation.draw(7, 0)
    step = step_of(model, loader, SGD(), World.open(comm), BATCH, dtype=dtype, seed=7, shards=SHARDS)
    found = []
    for window in range(3):
        sums = step.run(window, learning_rate=0.0, number=window).sums
        found.append((step.parameters.gradients.copy(), sums.loss, sums.samples))
    return found


@pytest.mark.mpi
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)], ids=["float64", "float32"])
@pytest.mark.parametrize("name", MODELS)
def test_any_number_of_ranks_has_the_gradients_of_one(name: str, dtype: type, tolerance: float) -> None:
    together = gradients(MPI.COMM_WORLD, name, dtype)
    alone = once(WORLD.comm, lambda: gradients(MPI.COMM_SELF, name, dtype))
    assert [samples for _, _, samples in together] == [48, 48, 14]
    for (gradient, loss, samples), (expected, expected_loss, expected_samples) in zip(together, alone, strict=True):
        assert samples == expected_samples
        assert loss == pytest.approx(expected_loss, rel=tolerance)
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=tolerance * np.abs(expected).max())
