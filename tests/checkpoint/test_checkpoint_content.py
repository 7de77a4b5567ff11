"""What a checkpoint holds: its digest, what can't be saved, and the way back into a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distnn.checkpoint import Checkpoint, digest, fit_into, save
from distnn.checkpoint.content import fault
from distnn.errors import CheckpointError
from tests.support.checkpoints import example


def test_digest_is_of_the_state_alone() -> None:
    reference = digest(example())
    other = example(best=0.25)
    other.settings, other.environment = {}, {"cpu": "another"}
    other.parameters = dict(reversed(other.parameters.items()))
    assert digest(other) == reference
    assert len(reference) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.parameters.update({"dense1.bias": np.nextafter(c.parameters["dense1.bias"], 1)}),
        lambda c: c.parameters.update({"dense1.bias": c.parameters["dense1.bias"].astype(np.float32)}),
        lambda c: c.parameters.update({"dense1.weight": c.parameters["dense1.weight"].reshape(3, 4)}),
        lambda c: c.parameters.update({"dense2.bias": c.parameters.pop("dense1.bias")}),
        lambda c: c.optimizer.update({"moment": c.optimizer.pop("velocity")}),
        lambda c: c.optimizer["velocity"].pop("dense1.bias"),
    ],
    ids=["bit", "dtype", "shape", "name", "slot", "missing"],
)
def test_digest_sees(change: Callable[[Checkpoint], object]) -> None:
    checkpoint = example()
    change(checkpoint)
    assert digest(checkpoint) != digest(example())


# --- what can't be saved


@pytest.mark.parametrize("name", ["", ".", "a/b", "a\0b"])
def test_names_that_cannot_be_paths(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=r"can't be the name of a parameter or optimiser slot"):
        save(tmp_path, Checkpoint({name: np.zeros(1)}, {}, {"step": 1}), keep=1, best=False)
    with pytest.raises(CheckpointError, match=r"can't be the name of a parameter or optimiser slot"):
        digest(Checkpoint({}, {name: {"a": np.zeros(1)}}))


def test_arrays_that_are_not_numbers(tmp_path: Path) -> None:
    words = Checkpoint({"words": np.array(["a", "b"])}, {}, {"step": 1})
    with pytest.raises(CheckpointError, match=r"parameters/words must be an array of numbers, but its dtype is <U1"):
        save(tmp_path, words, keep=1, best=False)


def test_settings_that_json_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"'settings' can't be written as JSON \(.*of type set\)"):
        save(tmp_path, Checkpoint({}, {}, {"step": 1}, {"a": {1, 2}}), keep=1, best=False)


@pytest.mark.parametrize("step", [None, -1, 1.5, "1"])
def test_progress_without_a_step(tmp_path: Path, step: object) -> None:
    with pytest.raises(CheckpointError, match=r"progress\['step'\] must be the number of steps done"):
        save(tmp_path, Checkpoint({}, {}, {"step": step}), keep=1, best=False)  # type: ignore[dict-item]


# --- into a model


def test_fit_into_copies_by_name() -> None:
    target = {"b": np.zeros(2, np.float32), "a": np.zeros((2, 2), np.float32)}
    fit_into({"a": np.ones((2, 2)), "b": np.full(2, 3.0)}, target, "x.h5")
    assert target["a"].tolist() == [[1, 1], [1, 1]]
    assert target["b"].tolist() == [3, 3]
    assert target["a"].dtype == np.float32


def test_fit_into_lists_all_that_differs_and_copies_nothing() -> None:
    target = {
        "good": np.zeros(2),
        "dense1.weight": np.zeros((64, 32)),
        "dense2.bias": np.zeros(3),
        "n": np.zeros(1, int),
    }
    source = {"good": np.ones(2), "dense1.weight": np.ones((64, 16)), "extra": np.ones(1), "n": np.ones(1)}
    with pytest.raises(CheckpointError) as caught:
        fit_into(source, target, Path("run/step-00000003.h5"))
    assert str(caught.value) == (
        "run/step-00000003.h5: the checkpoint's parameters don't fit this model: missing: dense2.bias; unexpected: "
        "extra; of another shape or kind: dense1.weight (expected (64, 32), found (64, 16)), n (expected int64, found "
        "float64). Use the run file that the checkpoint was made with (`distnn inspect run/step-00000003.h5` shows its "
        "[model]), or start a new run without it."
    )
    assert not target["good"].any()


def test_fit_into_keeps_a_long_list_short() -> None:
    target = {f"layer{i}": np.zeros(1) for i in range(50)}
    with pytest.raises(
        CheckpointError, match=r"velocity don't fit this model: missing: layer0, .*layer7 and 42 more\."
    ):
        fit_into({}, target, "x.h5", what="velocity")


@pytest.mark.parametrize(
    ("entry", "value"), [("seconds", None), ("exponents", [[]]), ("step", -1), ("sums", "x"), ("stale", None)]
)
def test_a_progress_with_an_odd_entry(entry: str, value: object) -> None:
    progress = {"step": 2, "best": None, "exponents": {"w": [1, 2]}}
    good: dict[str, Any] = {"progress": progress, "model": {"classes": None}, "settings": {}, "data": {}}
    assert fault(good) == ""
    assert fault(good | {"progress": {"step": 2, entry: value}}).startswith(f"'progress' has for {entry} ")
