"""Weights and masks in training and evaluation: a weight of 2 is the sample twice, 0 leaves it out; as in PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distnn.config import from_dict
from distnn.data import write_data
from distnn.errors import DataError, UsageError
from distnn.losses import SquaredError
from distnn.losses.loss import LossFunction
from distnn.models import Model, linear
from distnn.session.parts import data_file
from distnn.train.evaluate import Evaluator
from tests.support.runs import alone, assembled

SAMPLES, FEATURES = 23, 3
#: By name: the task, the shape of a target, [loss], [model], and metrics.
TASKS: dict[str, tuple[str, tuple[int, ...], dict[str, Any], dict[str, Any], list[str]]] = {
    "squared": ("regression", (2,), {"kind": "squared_error"}, {"kind": "linear"}, ["mae", "r2"]),
    "absolute": ("regression", (2,), {"kind": "absolute_error"}, {"kind": "linear"}, ["rmse"]),
    "huber": ("regression", (), {"kind": "huber", "delta": 0.5}, {"kind": "linear"}, ["pearson_r"]),
    "classes": ("classification", (), {}, {"kind": "softmax"}, ["f1", "roc_auc"]),
    "class weights": (
        "classification",
        (),
        {"class_weights": [0.5, 2.0, 1.5], "label_smoothing": 0.1, "ignore_label": 1},
        {"kind": "softmax"},
        ["balanced_accuracy"],
    ),
    "one logit": ("binary", (), {}, {"kind": "logistic"}, ["balanced_accuracy"]),
}


def fields(task: str, target: tuple[int, ...], seed: int = 0) -> dict[str, Any]:
    """Samples and targets."""
    random = np.random.default_rng(seed)
    classes = {"classification": 3, "binary": 2}.get(task)
    shape = (SAMPLES, *target)
    y = random.normal(size=shape) if classes is None else random.integers(0, classes, shape)
    return {"x": random.normal(size=(SAMPLES, FEATURES)), "y": y}


def written(path: Path, task: str, arrays: dict[str, Any]) -> Path:
    """A data file with these samples for training and for tests."""
    classes = {"classification": "abc", "binary": "ab"}.get(task, "")
    name = "regression" if task == "regression" else "classification"
    return write_data(path, {"train": arrays, "test": arrays}, task=name, classes=list(classes), force=True)


def trained(path: Path, name: str, **data: Any) -> tuple[Any, ...]:
    """Of two steps with all samples and an evaluation: the mean losses, the accuracy, the metrics, the parameters."""
    _, _, loss, model, metrics = TASKS[name]
    run = assembled(
        alone(),
        model=model,
        loss=loss,
        data={"path": str(path), "batch_size": "full"} | data,
        train={"dtype": "float64"},
        optimizer={"kind": "sgd", "learning_rate": 0.1},
    )
    run.loader.begin(0, 0)
    losses = [run.step.run(0, 0.1, number=number).sums.mean_loss for number in range(2)]
    after = np.concatenate([value.reshape(-1) for value in run.parameters.value.values()])
    kinds = from_dict({"data": {"path": "x"}, "model": model, "metrics": {"kinds": metrics}}).metrics.make()
    with data_file(run.settings) as file:
        evaluator = Evaluator(run.model, run.parameters, file, "test", alone(), metrics=kinds)
        sums = evaluator.run()
    return losses, sums.mean_loss, sums.accuracy or 0.0, evaluator.values, after


def near(found: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    for pair in zip(found, expected, strict=True):
        mine, other = (list(each.values()) if isinstance(each, dict) else each for each in pair)
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", TASKS)
def test_a_weight_of_2_is_the_sample_twice_and_0_leaves_it_out(tmp_path: Path, name: str) -> None:
    task, target = TASKS[name][:2]
    arrays, weights = fields(task, target), np.random.default_rng(1).integers(0, 4, SAMPLES)
    repeated = {field: np.repeat(values, weights, axis=0) for field, values in arrays.items()}
    if task == "regression":
        arrays["y"][weights == 0] = np.nan  # what is left out may be anything
    expected = trained(written(tmp_path / "repeated.h5", task, repeated), name)
    found = trained(written(tmp_path / "weighted.h5", task, arrays | {"weight": weights}), name)
    near(found, expected)


@pytest.mark.parametrize("name", TASKS)
def test_weights_of_1_are_none(tmp_path: Path, name: str) -> None:
    task, target = TASKS[name][:2]
    arrays = fields(task, target)
    expected = trained(written(tmp_path / "plain.h5", task, arrays), name)
    for ones in (np.ones(SAMPLES), np.ones((SAMPLES, *target), np.float32)):
        near(trained(written(tmp_path / "ones.h5", task, arrays | {"weight": ones}), name), expected)
        near(trained(written(tmp_path / "ones.h5", task, arrays | {"mask": ones.astype(bool)}), name), expected)


@pytest.mark.parametrize("name", ["squared", "absolute", "huber", "classes", "class weights", "one logit"])
def test_losses_and_gradients_are_pytorchs(tmp_path: Path, name: str) -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    task, target, options, _, _ = TASKS[name]
    random = np.random.default_rng(2)
    arrays = fields(task, target)
    shape = arrays["y"].shape
    arrays |= {"weight": random.uniform(0, 3, shape), "mask": random.integers(0, 2, SAMPLES)}
    losses, *_, after = trained(written(tmp_path / "w.h5", task, arrays), name)
    kept = torch.tensor(arrays["weight"] * arrays["mask"].reshape(-1, *[1] * len(target)))
    x, y = torch.tensor(arrays["x"]), torch.tensor(arrays["y"])
    numbers = y.numel() / len(y)

    def mean(z: Any) -> Any:
        if task == "regression":
            plain = {"squared": functional.mse_loss, "absolute": functional.l1_loss}.get(name)
            each = (
                plain(z.reshape(y.shape), y, reduction="none")
                if plain
                else functional.huber_loss(z.reshape(y.shape), y, reduction="none", delta=0.5)
            )
            return (kept * each).sum() / kept.sum() * numbers  # what is trained is the sum over a sample's
        if name == "one logit":
            each = functional.binary_cross_entropy_with_logits(z[:, 0], y.double(), reduction="none")
            return (kept * each).sum() / kept.sum()
        weights = torch.tensor(options.get("class_weights", [1.0, 1.0, 1.0]), dtype=torch.float64)
        ignored, smoothing = options.get("ignore_label", -100), options.get("label_smoothing", 0.0)
        each = functional.cross_entropy(
            z, y, weights, reduction="none", label_smoothing=smoothing, ignore_index=ignored
        )
        return (kept * each).sum() / (kept * weights[y] * (y != ignored)).sum()

    run = assembled(
        alone(),
        model=TASKS[name][3],
        data={"path": str(tmp_path / "w.h5"), "batch_size": "full"},
        train={"dtype": "float64"},
    )
    values = [torch.tensor(value.copy(), requires_grad=True) for value in run.parameters.value.values()]
    by_name = dict(zip(run.parameters.value, values, strict=True))
    expected = []
    for _ in range(2):
        loss = mean(x @ by_name["dense1.weight"] + by_name["dense1.bias"])
        expected.append(loss.item() / numbers)  # and what is told is the mean
        for value, gradient in zip(values, torch.autograd.grad(loss, values), strict=True):
            value.data -= 0.1 * gradient
    np.testing.assert_allclose(losses, expected, rtol=1e-10)
    found = np.concatenate([value.detach().numpy().reshape(-1) for value in values])
    np.testing.assert_allclose(after, found, rtol=1e-8, atol=1e-12)


def test_missing_targets_under_a_mask_are_left_out(tmp_path: Path) -> None:
    arrays = fields("regression", (2,))
    mask = np.random.default_rng(3).integers(0, 2, arrays["y"].shape).astype(bool)
    other = arrays | {"y": np.where(mask, arrays["y"], 7.0), "mask": mask}
    missing = arrays | {"y": np.where(mask, arrays["y"], np.nan), "mask": mask}
    expected = trained(written(tmp_path / "a.h5", "regression", other), "squared")
    path = written(tmp_path / "b.h5", "regression", missing)
    for in_memory in (True, False):
        found = trained(path, "squared", in_memory=in_memory)
        np.testing.assert_array_equal(found[-1], expected[-1])
        near(found, expected)


def test_missing_targets_may_be_nan_without_a_mask_where_that_is_said(tmp_path: Path) -> None:
    arrays = fields("regression", (2,))
    mask = np.random.default_rng(3).integers(0, 2, arrays["y"].shape).astype(bool)
    missing = arrays | {"y": np.where(mask, arrays["y"], np.nan)}
    expected = trained(written(tmp_path / "a.h5", "regression", missing | {"mask": mask}), "squared")
    path = tmp_path / "b.h5"
    with h5py.File(path, "w") as file:
        file.attrs["task"] = "regression"
        for name, values in missing.items():
            file[f"train/{name}"] = file[f"test/{name}"] = values
    for in_memory in (True, False):
        near(trained(path, "squared", in_memory=in_memory, missing_targets="mask"), expected)
    with pytest.raises(
        DataError, match=r'y\[\d+, \d\] is nan.*data.missing_targets = "mask" leaves out all that are NaN'
    ):
        trained(path, "squared")
    with pytest.raises(DataError, match="but there is one already; remove the key"):
        trained(tmp_path / "a.h5", "squared", missing_targets="mask")
    labels = written(tmp_path / "c.h5", "classification", fields("classification", ()))
    with pytest.raises(
        DataError, match="is for a regression, whose targets may be NaN, but the task is classification"
    ):
        trained(labels, "classes", missing_targets="mask")


def test_labels_under_a_mask_may_be_anything(tmp_path: Path) -> None:
    arrays = fields("classification", ())
    mask = np.arange(SAMPLES) % 3 > 0
    expected = trained(written(tmp_path / "a.h5", "classification", arrays | {"mask": mask}), "classes")
    strange = arrays | {"y": np.where(mask, arrays["y"], -1), "mask": mask}
    near(trained(written(tmp_path / "b.h5", "classification", strange), "classes"), expected)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"weight": -np.ones(SAMPLES)}, r"train/weight\[0\] is -1.0; expected a number of at least 0"),
    ({"weight": np.full(SAMPLES, np.inf)}, r"train/weight\[0\] is inf"),
    ({"weight": np.ones((SAMPLES, 3))}, r"train/weight has the shape \(23, 3\) but train/y \(23, 2\)"),
    ({"mask": np.full(SAMPLES, 2)}, r"train/mask\[0\] is 2; expected 1 for what counts, else 0"),
    ({"mask": np.full(SAMPLES, 0.5)}, r"train/mask\[0\] is 0.5; expected 1 for what counts, else 0"),
    ({"mask": np.ones(SAMPLES - 1)}, r"train/mask has the shape \(22,\)"),
    ({"y": np.full((SAMPLES, 2), np.nan)}, r"train/y\[0, 0\] is nan.*a dataset `mask` beside y, with 0 in its place"),
]


@pytest.mark.parametrize(("bad", "expected"), BAD, ids=[text for _, text in BAD])
def test_bad_weights_and_masks_are_refused(tmp_path: Path, bad: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        written(tmp_path / "bad.h5", "regression", fields("regression", (2,)) | bad)


def test_all_splits_have_the_same_fields(tmp_path: Path) -> None:
    arrays = fields("regression", (2,))
    splits = {"train": arrays | {"weight": np.ones(SAMPLES)}, "test": arrays}
    with pytest.raises(DataError, match="there is train/weight but no test/weight; expected the same fields"):
        write_data(tmp_path / "a.h5", splits, task="regression")


def test_weights_beyond_the_type_of_the_run_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5", "regression", fields("regression", (2,)) | {"weight": np.full(SAMPLES, 1e300)})
    run = assembled(alone(), model={"kind": "linear"}, data={"path": str(path), "batch_size": 4})
    with pytest.raises(DataError, match=r"train/weight\[\d+\] is a weight, which is too large for float32"):
        run.step.run(0, 0.1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_that_would_become_0_are_refused(tmp_path: Path, dtype: str) -> None:
    arrays = fields("regression", (2,)) | {"weight": np.full(SAMPLES, 1e-60), "mask": np.eye(2)[np.arange(SAMPLES) % 2]}
    path = written(tmp_path / "a.h5", "regression", arrays)
    chosen = {"data": {"path": str(path), "batch_size": 4}, "train": {"dtype": dtype}}
    run = assembled(alone(), model={"kind": "linear"}, **chosen)
    if dtype == "float64":
        assert run.step.run(0, 0.1).sums.mean_loss > 0.1
        return
    with pytest.raises(DataError, match=r"train/weight\[\d+\] holds 1e-60, which is 0 in float32"):
        run.step.run(0, 0.1)


def test_losses_that_know_no_weights_are_refused() -> None:
    class Own(SquaredError, kind="own loss without weights"):  # type: ignore[call-arg]
        def __call__(self, output: Any, target: Any) -> Any:  # type: ignore[override]
            return super().__call__(output, target)

    facts: dict[str, Any] = {"task": "regression", "target_shape": (1,), "weights": ()}
    for loss in (Own(), LossFunction(lambda output, target: None)):
        with pytest.raises(UsageError, match=r"knows no weights, but the data have weights or a mask"):
            Model(linear(1), (2,), loss=loss, **facts)


def test_data_of_which_nothing_counts_are_refused(tmp_path: Path) -> None:
    arrays, nothing = fields("classification", ()), {"mask": np.zeros(SAMPLES, bool)}
    path = written(tmp_path / "a.h5", "classification", arrays | nothing)
    with pytest.raises(DataError, match="train/mask is 0 everywhere, so nothing would be learned"):
        trained(path, "classes")
    splits = {"train": arrays | {"mask": np.ones(SAMPLES)}, "test": arrays | nothing}
    write_data(tmp_path / "b.h5", splits, task="classification", classes=list("abc"))
    with pytest.raises(DataError, match="not one target of test counts, so there is neither a loss nor an accuracy"):
        trained(tmp_path / "b.h5", "classes")
