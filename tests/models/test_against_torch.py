"""Whole networks train as PyTorch's do: 50 steps from the same parameters, on the same digits in the same order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from distnn.data import DataFile
from distnn.data.loader import Loader
from distnn.data.order import permutation, shuffled
from distnn.layers import LSTM, Dense, Sequential
from distnn.models import Model, mlp
from distnn.models.convnet import convnet
from distnn.models.resnet import resnet
from distnn.optim import SGD
from distnn.train.step import Step
from tests.support.runs import DIGITS, alone
from tests.support.steps import step_of

torch = pytest.importorskip("torch", reason="needs PyTorch as an oracle; cure: pip install torch==2.13.0")
functional = torch.nn.functional

STEPS, BATCH, RATE, MOMENTUM = 50, 32, 0.05, 0.9
Values = dict[str, Any]  # tensors by our names
Forward = Callable[[Values, Any], Any]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """More would spend their time on waking each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# The networks in PyTorch: channels come second there, and weights are turned round.


def dense(p: Values, name: str, x: Any) -> Any:
    return functional.linear(x, p[f"{name}.weight"].T, p[f"{name}.bias"])


def convolution(p: Values, name: str, x: Any, stride: int = 1) -> Any:
    """Padded so that ⌈length / stride⌉ outputs remain, an odd zero put after."""
    weight = p[f"{name}.weight"].permute(3, 2, 0, 1)
    total = max(0, (-(-x.shape[2] // stride) - 1) * stride + weight.shape[2] - x.shape[2])
    sides = (total // 2, total - total // 2)
    return functional.conv2d(functional.pad(x, sides * 2), weight, p.get(f"{name}.bias"), stride)


def normalised(p: Values, name: str, x: Any) -> Any:
    running, gain, bias = (p[f"{name}.mean"], p[f"{name}.variance"]), p[f"{name}.gain"], p[f"{name}.bias"]
    return functional.batch_norm(x, *running, gain, bias, training=True, momentum=0.1, eps=1e-5)


def recurrent(p: Values, name: str, x: Any) -> Any:
    weights = {"ih": p[f"{name}.weight_input"].T, "hh": p[f"{name}.weight_recurrent"].T}
    biases = {"ih": p[f"{name}.bias"], "hh": torch.zeros_like(p[f"{name}.bias"])}
    given = {f"weight_{key}_l0": w for key, w in weights.items()} | {f"bias_{key}_l0": b for key, b in biases.items()}
    cell = torch.nn.LSTM(x.shape[2], weights["hh"].shape[1], batch_first=True, dtype=x.dtype)
    return torch.func.functional_call(cell, given, (x,))[0]


def their_mlp(p: Values, x: Any) -> Any:
    x = x.flatten(1)
    for name in ("dense1", "dense2"):
        x = functional.relu(dense(p, name, x))
    return dense(p, "dense3", x)


def their_convnet(p: Values, x: Any) -> Any:
    x = x[:, None]
    for name in ("conv2d1", "conv2d2"):
        x = functional.max_pool2d(functional.relu(convolution(p, name, x)), 2)
    x = x.permute(0, 2, 3, 1).flatten(1)
    return dense(p, "dense2", functional.relu(dense(p, "dense1", x)))


def their_resnet(p: Values, x: Any) -> Any:
    x = functional.relu(normalised(p, "batchnorm1", convolution(p, "conv2d1", x[:, None])))
    for stage, name in enumerate(("residual1", "residual2", "residual3")):
        stride = 2 if stage else 1
        y = normalised(p, f"{name}.block.batchnorm1", convolution(p, f"{name}.block.conv2d1", x, stride))
        y = convolution(p, f"{name}.block.conv2d2", functional.relu(y))
        around = x
        if stage:
            around = convolution(p, f"{name}.shortcut.conv2d1", x, stride)
            around = normalised(p, f"{name}.shortcut.batchnorm1", around)
        x = functional.relu(normalised(p, f"{name}.block.batchnorm2", y) + around)
    return dense(p, "dense1", x.mean((2, 3)))


def their_lstm(p: Values, x: Any) -> Any:
    """The rows of a digit as eight steps of eight features."""
    return dense(p, "dense1", recurrent(p, "lstm2", recurrent(p, "lstm1", x))[:, -1])


NETWORKS: dict[str, tuple[Callable[[], Any], Forward]] = {
    "mlp": (lambda: mlp(10, (32, 16)), their_mlp),
    "convnet": (lambda: convnet(10, (8, 16), (32,)), their_convnet),
    "resnet": (lambda: resnet(10, depth=8, channels=(8, 16, 24)), their_resnet),
    "lstm": (lambda: Sequential(LSTM(24), LSTM(16, last=True), Dense(10)), their_lstm),
}


def ours(step: Step) -> list[float]:
    """The mean loss of each step."""
    losses = []
    for number in range(STEPS):
        epoch, window = divmod(number, step.windows)
        if window == 0:
            step.source.begin(0, epoch)
        losses.append(step.run(window, RATE, number=number).sums.mean_loss)
    return losses


def theirs(forward: Forward, values: Values, trained: list[str], x: Any, y: Any) -> list[float]:
    """The same by PyTorch, which changes ``values``."""
    optimizer = torch.optim.SGD([values[name].requires_grad_() for name in trained], RATE, MOMENTUM)
    losses = []
    order = np.concatenate([permutation(len(x), 0, epoch) for epoch in range(2)])
    edges = [k for start in (0, len(x)) for k in range(start, start + len(x), BATCH)]
    for number in range(STEPS):
        chosen = order[edges[number] : edges[number + 1]]
        optimizer.zero_grad()
        loss = functional.cross_entropy(forward(values, x[chosen]), y[chosen])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("kind", NETWORKS)
def test_fifty_steps_track_pytorchs(kind: str) -> None:
    network, forward = NETWORKS[kind]
    with DataFile(DIGITS) as file:
        loader = Loader.read(file, "train", order=shuffled(file.count("train")))
        model = Model(network(), file.sample_shape, task=file.task, classes=file.classes)
    # In float32 a rounding may decide on which side of 0 a ReLU's argument lies, and 50 steps make much of that.
    step = step_of(model, loader, SGD(momentum=MOMENTUM), alone(), BATCH, dtype=np.float64)
    parameters = step.parameters
    values = {name: torch.from_numpy(array.copy()) for name, array in parameters.value.items()}
    assert step.windows < STEPS, "an epoch's last batch is a smaller one"
    found = ours(step)
    x = torch.from_numpy(loader.fields["x"] * (loader.scale or 1.0))
    expected = theirs(
        forward, values, list(parameters.trained), x, torch.from_numpy(loader.fields["y"].astype(np.int64))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found[-1] < 0.9 * found[0], "it learns"
    for name, array in parameters.value.items():
        other = values[name].detach().numpy()
        assert np.linalg.norm(array - other) < 1e-12 * max(1.0, np.linalg.norm(other)), name
