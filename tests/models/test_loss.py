"""The losses of a run file, trained with, against PyTorch's means: what the step divides by, and where it stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distnn.config import from_dict
from distnn.data import DataFile, write_data
from distnn.data.partition import Range
from distnn.errors import RunFileError, ShapeError, UsageError
from distnn.losses import Auto, CrossEntropy, Huber
from distnn.models import Model, linear, softmax
from distnn.train.evaluate import Evaluator
from tests.support.runs import DIGITS, alone, assembled, line, train_epoch

WEIGHTS = [0.0, 3.0, 0.5, 1.0, 2.0, 1.0, 1.0, 4.0, 0.1, 1.0]
DOUBLE = {"dtype": "float64"}


def torch_epoch(run: Any, loss: Any) -> tuple[list[float], Any]:
    """An epoch of one dense layer with SGD in PyTorch, on the batches of ``run``, and its model."""
    torch = pytest.importorskip("torch")
    values = run.parameters.value
    weight, bias = (torch.tensor(values[f"dense1.{name}"].copy(), requires_grad=True) for name in ("weight", "bias"))
    loader, size = run.loader, run.batch_size
    x = torch.tensor(loader.fields["x"].reshape(len(loader), -1).astype(float) * (loader.scale or 1))
    y = torch.tensor(loader.fields["y"].astype(int) if loader.fields["y"].dtype.kind in "iu" else loader.fields["y"])
    losses = []
    for start in range(0, len(loader), size):
        batch = torch.tensor(loader.numbers(Range(start, min(start + size, len(loader)))).copy())
        mean = loss(x[batch] @ weight + bias, y[batch])
        losses.append(mean.item())
        for parameter, gradient in zip((weight, bias), torch.autograd.grad(mean, (weight, bias)), strict=True):
            parameter.data -= run.settings.optimizer.learning_rate * gradient
    return losses, (weight.detach().numpy(), bias.detach().numpy())


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        ({"label_smoothing": 0.2}, {"label_smoothing": 0.2}),
        ({"class_weights": WEIGHTS}, {"weight": WEIGHTS}),
        ({"ignore_label": 4}, {"ignore_index": 4}),
        (
            {"kind": "cross_entropy", "class_weights": WEIGHTS, "label_smoothing": 0.1, "ignore_label": 7},
            {"weight": WEIGHTS, "label_smoothing": 0.1, "ignore_index": 7},
        ),
    ],
    ids="-".join,
)
def test_cross_entropy_with_options_trains_as_in_torch(loss: dict[str, Any], options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    if "weight" in options:
        options = options | {"weight": torch.tensor(options["weight"], dtype=torch.float64)}
    run = assembled(alone(), model={"kind": "softmax"}, loss=loss, train=DOUBLE)
    before = {name: value.copy() for name, value in run.parameters.value.items()}
    found, _ = train_epoch(run)
    after = {name: value.copy() for name, value in run.parameters.value.items()}
    for name, value in before.items():
        run.parameters.value[name][...] = value
    expected, trained = torch_epoch(run, torch.nn.CrossEntropyLoss(**options))
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    for value, (name, mine) in zip(trained, sorted(after.items(), reverse=True), strict=True):
        np.testing.assert_allclose(mine, value, rtol=1e-8, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", ["squared_error", "absolute_error", "huber"])
def test_losses_of_a_regression_train_as_in_torch(tmp_path: Path, kind: str) -> None:
    torch = pytest.importorskip("torch")
    ways = {
        "squared_error": torch.nn.MSELoss(reduction="sum"),
        "absolute_error": torch.nn.L1Loss(reduction="sum"),
        "huber": torch.nn.HuberLoss(reduction="sum", delta=0.7),
    }
    loss = {"kind": kind} | ({"delta": 0.7} if kind == "huber" else {})
    data = {"path": str(line(tmp_path / "line.h5", {"train": 50})), "batch_size": 8}
    run = assembled(alone(), model={"kind": "linear"}, data=data, loss=loss, train=DOUBLE)
    before = {name: value.copy() for name, value in run.parameters.value.items()}
    found, _ = train_epoch(run)
    for name, value in before.items():
        run.parameters.value[name][...] = value
    expected, _ = torch_epoch(run, lambda output, target: ways[kind](output, target) / len(target))
    np.testing.assert_allclose(2 * found, expected, rtol=1e-10)  # told is the mean over both outputs, too


def test_an_ignored_label_counts_neither_in_loss_nor_accuracy() -> None:
    run = assembled(alone(), model={"kind": "softmax"}, loss={"ignore_label": 0})
    for epoch in range(6):
        train_epoch(run, epoch)
    labels, sums = run.loader.fields["y"], run.step.run(run.step.windows - 1, 0.0).sums
    last = labels[run.loader.numbers(Range(len(labels) - sums.samples, len(labels)))]
    assert sums.count == np.count_nonzero(last) < sums.samples
    with DataFile(DIGITS) as file:
        result = Evaluator(run.model, run.parameters, file, "test", alone()).run()
    assert result.accuracy is not None
    assert 0.5 < result.accuracy <= 1


def test_a_step_of_which_nothing_counts_leaves_the_parameters(tmp_path: Path) -> None:
    x, y = np.arange(12.0).reshape(6, 2), np.zeros(6, int)
    path = write_data(tmp_path / "one.h5", {"train": (x, y)}, task="classification", classes=["a", "b"])
    data = {"path": str(path), "batch_size": 2}
    run = assembled(alone(), model={"kind": "softmax"}, data=data, loss={"class_weights": [0, 1], "ignore_label": 0})
    before = run.parameters.values.copy()
    sums = run.step.run(0, 0.1).sums
    assert sums.loss == sums.weight == sums.count == 0 and np.isnan(sums.mean_loss)
    np.testing.assert_array_equal(run.parameters.values, before)


def test_a_loss_for_another_task_is_refused() -> None:
    with pytest.raises(UsageError, match=r'loss.kind = "huber" is not for classification; expected one of: cross_ent'):
        Model(softmax(3), (2,), task="classification", classes="abc", loss=Huber())


@pytest.mark.parametrize(
    "option", [{"class_weights": (1.0, 2.0)}, {"label_smoothing": 0.1}, {"ignore_label": 0}], ids=str
)
def test_options_for_classes_are_refused_for_a_regression(option: dict[str, Any]) -> None:
    (name,) = option
    with pytest.raises(UsageError, match=rf"loss\.{name} is for classes, but .* task is regression") as error:
        Model(linear(1), (2,), task="regression", target_shape=(1,), loss=Auto(**option))
    assert error.value.keys == ("loss", name)


def test_weights_of_other_classes_are_refused() -> None:
    with pytest.raises(ShapeError, match="2 class weights for logits of 3 classes"):
        Model(softmax(3), (2,), task="classification", classes="abc", loss=CrossEntropy(class_weights=(1.0, 2.0)))


def test_one_logit_takes_no_options() -> None:
    with pytest.raises(UsageError, match="need one output per class, but the model has one for both classes"):
        Model(softmax(1), (2,), task="classification", classes="ab", loss=CrossEntropy(label_smoothing=0.1))


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ({"kind": "hubert"}, r"did you mean 'huber'\?"),
        ({"delta": 2.0}, 'loss.delta belongs to kind = "huber" and has no meaning with kind = "auto"'),
        ({"kind": "huber", "label_smoothing": 0.1}, 'loss.label_smoothing belongs to kind = "cross_entropy"'),
        ({"class_weights": [0.0, 0.0]}, "loss.class_weights holds no number above 0"),
        ({"class_weights": [1.0, -1.0]}, r"class_weights\[1\] is -1.0 .* of at least 0"),
        ({"label_smoothing": 1.0}, "at least 0 and below 1"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(loss: dict[str, Any], words: str) -> None:
    with pytest.raises(RunFileError, match=words):
        from_dict({"model": {"kind": "softmax"}, "data": {"path": "x.h5"}, "loss": loss})
