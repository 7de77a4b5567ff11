"""Targets at each pixel: segmentation, images to images, and several columns, against PyTorch and scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distnn.config import from_dict
from distnn.data import DataFile, write_data
from distnn.data.augment import Augmentation
from distnn.data.loader import Loader
from distnn.data.partition import Range
from distnn.errors import DataError, RunFileError, ShapeError
from distnn.layers import Dense, Sequential
from distnn.metrics import ConfusionMatrix, IoU
from distnn.models import Model, fcn
from distnn.session.build import Run
from distnn.session.parts import augmentation, data_file
from distnn.train.evaluate import Evaluator, chunk, predict
from tests.support.runs import alone, assembled, distnn, run_file, settings, train_epoch

CLASSES = ["sea", "land", "ice"]


def images(count: int, shape: tuple[int, ...] = (8, 9), seed: int = 0) -> dict[str, np.ndarray]:
    """Images of two channels, and of each pixel the class, which the pixel to its left has a part in."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, *shape, 2)).astype(np.float32)
    before = np.roll(x[..., 1], 1, axis=-1)
    return {"x": x, "y": np.digitize(x[..., 0] + before, [-0.5, 1.0]).astype(np.uint8)}


def segmented(path: Path, **more: Any) -> Path:
    splits = {
        split: images(count, seed=count) | {k: v[:count] for k, v in more.items()}
        for split, count in (("train", 40), ("validation", 6), ("test", 5))
    }
    return write_data(path, splits, task="segmentation", classes=CLASSES, force=True)


def of_file(path: Path, **data: Any) -> dict[str, Any]:
    return {
        "data": {"path": str(path), "batch_size": 10} | data,
        "model": {"kind": "fcn", "channels": [8, 8], "dilations": [1]},
        "optimizer": {"kind": "adam", "learning_rate": 0.02},
    }


def test_pixels_are_learned_evaluated_and_predicted(tmp_path: Path) -> None:
    path = segmented(tmp_path / "images.h5")
    toml = run_file(tmp_path / "run.toml", **of_file(path), train={"epochs": 25}, metrics={"kinds": ["iou"]})
    out = distnn("train", toml, "--out", tmp_path / "run")
    assert out.returncode == 0, out.stderr
    scores = json.loads(distnn("evaluate", tmp_path / "run", path, "--json").stdout)
    assert distnn("predict", tmp_path / "run", path, "-o", tmp_path / "p.h5").returncode == 0
    with h5py.File(tmp_path / "p.h5") as file, DataFile(path) as data:
        y = data.read("test")[1]
        predicted, probabilities = file["y_pred"][()], file["probabilities"][()]
        np.testing.assert_array_equal(file["y_true"], y)
    assert (predicted.shape, probabilities.shape) == ((5, 8, 9), (5, 8, 9, 3))
    np.testing.assert_array_equal(probabilities.argmax(-1), predicted)
    assert scores["accuracy"] == pytest.approx(np.mean(predicted == y), abs=1e-12)
    assert scores["loss"] == pytest.approx(
        -np.log(np.take_along_axis(probabilities, y[..., None], -1)).mean(), rel=1e-5
    )
    either = [np.mean((predicted == k) & (y == k)) / np.mean((predicted == k) | (y == k)) for k in range(3)]
    assert scores["iou"] == pytest.approx(np.mean(either), abs=1e-12)
    assert scores["samples"] == 5 and scores["iou"] > 0.6
    refused = distnn("predict", tmp_path / "run", path, "-o", tmp_path / "p.csv")
    assert "8 × 9 predictions for each sample" in refused.stderr


@pytest.mark.parametrize("options", [{}, {"weight": [0.5, 2.0, 1.0], "ignore_index": 255}], ids=str)
@pytest.mark.parametrize("weighted", [(), ("pixels",), ("images",)], ids=str)
def test_a_step_is_pytorchs(tmp_path: Path, options: dict[str, Any], weighted: tuple[str, ...]) -> None:
    torch = pytest.importorskip("torch")
    functional, random = torch.nn.functional, np.random.default_rng(1)
    fields: dict[str, np.ndarray] = images(7)
    if options:
        fields["y"][random.random(fields["y"].shape) < 0.2] = 255
    if weighted:
        fields["weight"] = random.integers(0, 3, fields["y"].shape if weighted == ("pixels",) else 7)
    path = tmp_path / "images.h5"
    with h5py.File(path, "w") as file:  # as others write it: without the label that isn't to count
        file.attrs.update({"task": "segmentation", "classes": CLASSES})
        for name, values in fields.items():
            file[f"train/{name}"] = values
    loss = {"class_weights": options["weight"], "ignore_label": 255} if options else {}
    chosen = settings(**of_file(path, batch_size="full"), loss=loss, train={"dtype": "float64"})
    chosen = chosen.model_copy(update={"optimizer": settings(optimizer={"kind": "sgd"}).optimizer})
    with data_file(chosen) as data:
        run = Run(chosen, data, alone())
    values = {name: torch.tensor(value.copy(), requires_grad=True) for name, value in run.parameters.value.items()}
    run.loader.begin(0, 0)
    before = {name: value.copy() for name, value in run.parameters.value.items()}
    found = run.step.run(0, 1.0).sums
    h = torch.tensor(fields["x"].astype(float)).permute(0, 3, 1, 2)
    for layer in ("conv2d1", "conv2d2"):
        weight = values[f"{layer}.weight"].permute(3, 2, 0, 1)
        h = torch.relu(functional.conv2d(h, weight, values[f"{layer}.bias"], padding=1))
    z = torch.einsum("nchw,ck->nkhw", h, values["dense1.weight"]) + values["dense1.bias"][:, None, None]
    y = torch.tensor(fields["y"].astype(int))
    classes = torch.tensor(options.get("weight", [1.0] * 3), dtype=torch.float64)
    each = functional.cross_entropy(z, y, classes, reduction="none", ignore_index=255)
    weights = torch.tensor(
        fields.get("weight", np.ones(7)).astype(float).reshape(7, *([1, 1] if weighted != ("pixels",) else [8, 9]))
    )
    weights = weights.expand(each.shape) * (y != 255)
    expected = (weights * each).sum() / (weights * classes[y.clamp(0, 2)]).sum()
    assert found.mean_loss == pytest.approx(expected.item(), rel=1e-10)
    hits = ((z.argmax(1) == y) * weights).sum() / weights.sum()
    assert found.accuracy == pytest.approx(hits.item(), rel=1e-12)
    expected.backward()
    for name, value in values.items():
        step = before[name] - run.parameters.value[name]
        np.testing.assert_allclose(step, value.grad.numpy(), rtol=1e-8, atol=1e-12, err_msg=name)


def test_a_mask_leaves_pixels_out(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).integers(0, 2, (40, 8, 9)).astype(bool)
    run = assembled(alone(), **of_file(segmented(tmp_path / "m.h5", mask=mask)))
    train_epoch(run)
    with DataFile(tmp_path / "m.h5") as file:
        evaluator = Evaluator(run.model, run.parameters, file, "test", alone(), metrics=[ConfusionMatrix(), IoU()])
        sums = evaluator.run()
    assert np.sum(evaluator.values["confusion_matrix"]) == mask[:5].sum()
    assert sums.weight == mask[:5].sum()


def test_voxels(tmp_path: Path) -> None:
    fields = images(6, (3, 4, 5))
    fields["y"] = np.digitize(fields["x"][..., 0], [-0.5, 0.5])
    path = write_data(tmp_path / "v.h5", {"train": fields}, task="segmentation", classes=CLASSES)
    layers = [{"kind": "dense", "units": 8, "activation": "relu"}, {"kind": "flatten"}, {"kind": "dense"}]
    run = assembled(alone(), data={"path": str(path), "batch_size": 3}, model={"factory": f"{__name__}:of_voxels"})
    first = train_epoch(run)[0].mean()
    for epoch in range(1, 30):
        last = train_epoch(run, epoch)[0].mean()
    assert last < first / 2
    with pytest.raises(
        ShapeError, match=r"a label for each of 3 × 4 × 5 pixels and 3 classes; expected \(N, 3, 4, 5, 3\)"
    ):
        assembled(alone(), data={"path": str(path), "batch_size": 3}, model={"layers": layers})


def of_voxels(input_shape: tuple[int, ...], outputs: int) -> Any:
    return Sequential(Dense(8, "relu"), Dense(outputs))


def test_images_to_images(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    x = images(30)["x"]
    y = np.stack([x[..., 0] + np.roll(x[..., 1], 1, 2), -x[..., 1]], axis=-1)
    path = write_data(tmp_path / "i.h5", {"train": (x, y), "test": (x[:4], y[:4])}, task="regression")
    run = assembled(alone(), **of_file(path))
    assert run.model.output.shape[1:] == (8, 9, 2)
    losses = [train_epoch(run, epoch)[0].mean() for epoch in range(30)]
    assert losses[-1] < losses[0] / 10
    with DataFile(path) as file:
        sums = Evaluator(run.model, run.parameters, file, "test", alone()).run()
    predicted = predict(run.model, run.parameters, Loader({"x": x[:4]}))
    expected = torch.nn.functional.mse_loss(torch.tensor(predicted), torch.tensor(y[:4]), reduction="mean")
    assert sums.mean_loss == pytest.approx(expected.item(), rel=1e-5)
    flat = write_data(tmp_path / "f.h5", {"train": (x, y[..., 0])}, task="regression")
    assert assembled(alone(), **of_file(flat)).model.output.shape[1:] == (8, 9, 1)


def test_several_target_columns_as_scikit_learns(tmp_path: Path) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    random = np.random.default_rng(0)
    x, weights = random.normal(size=(60, 4)), random.integers(0, 3, 60)
    y = x @ random.normal(size=(4, 3)) + random.normal(size=(60, 3))
    path = write_data(tmp_path / "c.h5", {"train": {"x": x, "y": y, "weight": weights}}, task="regression")
    run = assembled(
        alone(), data={"path": str(path), "batch_size": "full"}, model={"kind": "linear"}, train={"dtype": "float64"}
    )
    for epoch in range(120):
        run.loader.begin(0, epoch)
        run.step.run(0, 0.2, number=epoch)
    expected = linear_model.LinearRegression().fit(x, y, sample_weight=weights)
    np.testing.assert_allclose(run.parameters.value["dense1.weight"], expected.coef_.T, atol=1e-6)


def test_flips_and_crops_change_labels_and_masks_alike() -> None:
    fields: dict[str, np.ndarray] = images(9)
    fields["x"][..., 0], fields["mask"] = fields["y"], fields["y"] > 0
    along = {"y": (8, 9), "weight": (8, 9)}
    changes = Augmentation(9, (8, 9, 2), flip=True, crop=3, along=along)
    loader = Loader(fields, None, changes)
    loader.begin(3, 1)
    x, y, w = np.empty((9, 8, 9, 2), np.float32), np.empty((9, 8, 9), np.int64), np.empty((9, 8, 9), np.float32)
    loader.fill(Range(0, 9), {"x": x, "y": y, "weight": w})
    np.testing.assert_array_equal(x[..., 0], y)
    np.testing.assert_array_equal(w, y > 0)
    assert (y != fields["y"]).any()


def test_moves_that_leave_pixels_without_labels_are_refused(tmp_path: Path) -> None:
    path = segmented(tmp_path / "images.h5")
    with DataFile(path) as file:
        with pytest.raises(RunFileError, match=r"augment.shift fills with 0.*use augment.crop"):
            augmentation(
                from_dict({"data": {"path": str(path)}, "model": {"kind": "fcn"}, "augment": {"shift": 1}}), file
            )
        found = augmentation(
            from_dict({"data": {"path": str(path)}, "model": {"kind": "fcn"}, "augment": {"crop": 1}}), file
        )
    assert found is not None and found.along.keys() == {"y"}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"y": np.zeros(3, int)}, r"there is a label for each pixel: expected \(N, H, W\)"),
    ({"y": np.zeros((3, 8, 8), int)}, r"there is a label for each pixel"),
    ({"y": np.zeros((3, 8, 9, 3), int)}, "Are they one-hot"),
    ({"y": np.zeros((3, 8, 9))}, "has the type float64, but labels for segmentation are integers"),
    ({"y": np.full((3, 8, 9), 7)}, r"y\[0, 0, 0\] is the label 7, but there are 3 classes.*loss.ignore_label = 7"),
]


@pytest.mark.parametrize(("bad", "expected"), BAD, ids=[text for _, text in BAD])
def test_labels_that_are_not_of_pixels_are_refused(tmp_path: Path, bad: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        write_data(tmp_path / "bad.h5", {"train": images(3) | bad}, task="segmentation", classes=CLASSES)


def test_a_network_of_one_output_for_each_image_is_refused() -> None:
    facts: dict[str, Any] = {"task": "segmentation", "classes": CLASSES, "target_shape": (8, 9)}
    with pytest.raises(ShapeError, match=r"expected \(N, 8, 9, 3\): layers that keep height and width"):
        Model(fcn(2, [4]), (8, 9, 2), **facts)


@pytest.mark.parametrize(
    ("samples", "shape", "expected"),
    [(10**6, (64,), 256), (1000, (28, 28), 32), (5000, (224, 224, 3), 55), (10**5, (768, 1152, 16), 1)],
)
def test_large_images_are_evaluated_few_at_a_time(samples: int, shape: tuple[int, ...], expected: int) -> None:
    assert chunk(samples, shape) == expected
