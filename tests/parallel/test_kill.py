"""A run that is killed at any moment, again and again, ends as if it never was."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from distnn import checkpoint
from tests.support.resuming import STEPS, finished, killed, newest, progress, write
from tests.support.runs import distance, losses
from tests.support.thorough import times


def test_a_run_killed_many_times_on_any_number_of_ranks_ends_as_if_it_never_was(tmp_path: Path) -> None:
    run, chance = write(tmp_path, train={"epochs": 30}), random.Random(1)
    whole = finished(1, run, tmp_path / "whole")
    out = tmp_path / "run"
    for _ in range(times(5, 20)):
        killed(chance.randint(1, 4), run, out, chance)
    resumed = newest(out)
    assert resumed is not None
    assert STEPS < resumed < 30 * STEPS
    end = finished(chance.randint(1, 4), run, out, "--resume", "auto")
    assert distance(end.parameters, whole.parameters) < 1e-5
    assert distance(end.optimizer["velocity"], whole.optimizer["velocity"]) < 1e-5
    assert progress(end) == progress(whole)
    assert [path.name for path in (out / "checkpoints").glob("*.tmp")] == []
    found, expected = losses(out), losses(tmp_path / "whole")
    assert found.keys() == expected.keys() == set(range(1, 30 * STEPS + 1))
    np.testing.assert_allclose([found[k] for k in expected], list(expected.values()), rtol=1e-5)


def test_on_the_same_number_of_ranks_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    run, chance = write(tmp_path, train={"epochs": 10}), random.Random(2)
    whole = finished(2, run, tmp_path / "whole")
    for _ in range(3):
        killed(2, run, tmp_path / "run", chance)
    end = finished(2, run, tmp_path / "run", "--resume", "auto")
    assert checkpoint.digest(end) == checkpoint.digest(whole)
    assert end.progress["best"] == whole.progress["best"]
