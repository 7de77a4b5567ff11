"""One rank's step: against twenty lines of numpy, and without allocating. (Several ranks: tests/parallel/ranks.)"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import threadpoolctl

from distnn.data.order import permutation
from distnn.session.build import Run
from tests.support import reference
from tests.support.runs import alone, assembled, distance, line, train_epoch

MOMENTUM = {"learning_rate": 0.05, "momentum": 0.9}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """BLAS threads that share their cores with other programs wait for each other most of the time."""
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        yield


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"data": {"batch_size": 1}, "optimizer": {"learning_rate": 0.01}},
        {"data": {"batch_size": "full"}},
        {"data": {"batch_size": 50}, "train": {"accumulate": 3}},
        {"train": {"clip_norm": 0.5}},
        {"parallel": {"shards": 5}},
        {"optimizer": MOMENTUM},
        {"optimizer": MOMENTUM | {"nesterov": True, "weight_decay": 0.01}},
        {"optimizer": {"learning_rate": 0.05, "weight_decay": 0.01}},
        {"optimizer": MOMENTUM, "train": {"accumulate": 2, "clip_norm": 0.5}, "parallel": {"shards": 3}},
        {"schedule": {"kind": "cosine", "warmup_steps": 5, "final": 0.1}},
        {"schedule": {"kind": "step", "every_epochs": 1}},
        {"model": {"hidden": [16, 12]}},
        {"model": {"kind": "softmax"}},
        {"data": {"shuffle": False}},
    ],
    ids=str,
)
def test_two_epochs_against_numpy(sections: dict[str, Any]) -> None:
    run = assembled(alone(), **(sections | {"train": sections.get("train", {}) | {"dtype": "float64"}}))
    values = {name: array.copy() for name, array in run.parameters.value.items()}
    velocity: reference.Arrays = {}
    for epoch in range(2):
        found, accuracies = _epoch(run, epoch)
        order = permutation(1297, 0, epoch, shuffle=run.settings.data.shuffle)
        expected = reference.epoch(run, values, velocity, order, epoch * run.step.windows)
        np.testing.assert_allclose(found, [loss for loss, _ in expected], rtol=1e-12)
        np.testing.assert_allclose(accuracies, [accuracy for _, accuracy in expected], rtol=1e-12)
    assert distance(run.parameters.value, values) < 1e-12


def _epoch(run: Run, epoch: int) -> tuple[list[float], list[float | None]]:
    """The mean loss and the accuracy of each step of an epoch."""
    run.loader.begin(run.settings.train.seed, epoch)
    found = []
    for window in range(run.step.windows):
        number = epoch * run.step.windows + window
        rate = run.settings.optimizer.learning_rate * run.factor(number)
        found.append(run.step.run(window, rate, number=number).sums)
    return [sums.mean_loss for sums in found], [sums.accuracy for sums in found]


def test_float32_follows_float64() -> None:
    run = assembled(alone(), optimizer=MOMENTUM)
    values = {name: array.astype(float) for name, array in run.parameters.value.items()}
    found, _ = train_epoch(run)
    expected = reference.epoch(run, values, {}, permutation(1297, 0, 0))
    np.testing.assert_allclose(found, [loss for loss, _ in expected], rtol=1e-4)


def test_regression_counts_nothing_as_correct(tmp_path: Path) -> None:
    file = line(tmp_path / "line.h5", {"train": 30})
    run = assembled(alone(), model={"kind": "linear"}, data={"path": str(file), "batch_size": 8})
    first, counts = train_epoch(run)
    assert counts == [8, 8, 8, 6]
    assert run.step.run(0, 0.0).sums.correct is None
    for epoch in range(1, 60):
        last, _ = train_epoch(run, epoch)
    assert last.mean() < 1e-3 < first.mean()


def test_the_count_of_targets_is_exact_where_float32_is_not() -> None:
    """64 (2²⁴ + 1) is no float32, but the count rides in two elements."""
    run = assembled(alone())
    run.model.layout.targets = 2**24 + 1
    sums = run.step.run(0, 0.0).sums
    assert sums.samples == 64
    assert sums.count == sums.weight == 64 * (2**24 + 1) != int(np.float32(sums.count))


def test_times_are_counted() -> None:
    run = assembled(alone())
    spent = run.step.run(0, 0.01).spent
    assert spent.compute > 0
    assert spent.data > 0
    assert spent.comm >= 0


@pytest.mark.parametrize(
    "sections",
    [
        {"data": {"batch_size": 1}},
        {"data": {"batch_size": 64}},
        {"data": {"batch_size": 500}, "optimizer": MOMENTUM | {"nesterov": True, "weight_decay": 0.01}},
        {"data": {"batch_size": "full"}, "train": {"clip_norm": 0.5}, "model": {"hidden": [100]}},
        {"data": {"batch_size": 64}, "parallel": {"shards": 3}, "optimizer": MOMENTUM},
        {"data": {"batch_size": 50}, "train": {"accumulate": 3}},
        {"data": {"batch_size": 500}, "model": {"kind": "softmax"}},
        {"data": {"batch_size": 64}, "model": {"activation": "tanh"}, "train": {"dtype": "float64"}},
        {"data": {"batch_size": 64}, "parallel": {"shards": 3, "reproducible": True}, "train": {"clip_norm": 0.5}},
    ],
    ids=str,
)
def test_a_step_after_warm_up_allocates_no_array(sections: dict[str, Any]) -> None:
    # Wide enough for any array of activations or parameters to be above the limit; but numpy buffers of 32 KiB are not.
    model = sections.get("model", {})
    wide = {"model": {"hidden": [600]} | model} if "kind" not in model else {}
    run = assembled(alone(), **(sections | wide))
    train_epoch(run)
    windows = [k % run.step.windows for k in range(run.step.windows - 50, run.step.windows + 50)]  # the ragged one, too
    tracemalloc.start()
    try:
        run.step.run(0, 0.01)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        for window in windows:
            run.step.run(window, 0.01)
        growth = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert len(windows) == 100
    assert growth < 64 * 1024, growth
