"""`parallel.reproducible`: the same bits on any number of ranks, under any MPI, and after any break."""

from __future__ import annotations

import random
from pathlib import Path

import h5py
import numpy as np
import pytest

from distnn import checkpoint
from tests.support.launch import mpiexec, usable
from tests.support.reproducible import ADAM, MLP, RUNS, SHARDS, prepare, told
from tests.support.resuming import LIMIT, command, finished, killed, train, write
from tests.support.runs import losses, saved
from tests.support.thorough import THOROUGH, times

#: Of 8 shards: 4 for each rank, uneven shares, and one for each. Each kind of run on some of them, or on all.
ELSEWHERE = {
    "MLP, dropout, Adam, clipped": [("mpich", 5), ("openmpi", 3)],
    "CNN, batch norm, momentum, augmentation": [("mpich", 8)],
    "LSTM": [("mpich", 2), ("openmpi", 3)],
    "LAMB, float64": [("mpich", 3)],
}
EVERYWHERE = [("mpich", 2), ("mpich", 5), ("mpich", 8), ("openmpi", 3)]


@pytest.mark.parametrize("name", RUNS)
def test_any_number_of_ranks_under_any_mpi_ends_with_the_same_bits(name: str, tmp_path: Path) -> None:
    run = prepare(tmp_path, name)
    alone = checkpoint.digest(finished(1, run, tmp_path / "alone"))
    for wished, n in EVERYWHERE if THOROUGH else ELSEWHERE[name]:
        launcher, out = wished if usable(wished) else "mpich", tmp_path / f"{wished}-{n}"
        assert checkpoint.digest(finished(n, run, out, launcher=launcher)) == alone, (launcher, n)
        assert told(out) == told(tmp_path / "alone"), (launcher, n)


@pytest.mark.parametrize("reduction", ["allreduce", "node"])
def test_either_reduction_gives_the_same_bits(reduction: str, tmp_path: Path) -> None:
    run = prepare(tmp_path, "MLP, dropout, Adam, clipped")
    alone = checkpoint.digest(finished(1, run, tmp_path / "alone"))
    out = tmp_path / reduction
    assert checkpoint.digest(finished(3, run, out, "--set", f"parallel.reduction={reduction}")) == alone


def test_killed_many_times_on_any_number_of_ranks_it_ends_with_the_bits_of_one_undisturbed_rank(tmp_path: Path) -> None:
    sections = {"optimizer": ADAM, "model": {"layers": MLP}, "parallel": SHARDS, "train": {"epochs": 20}}
    run, chance = write(tmp_path, **sections), random.Random(3)
    whole = finished(1, run, tmp_path / "whole")
    for _ in range(times(5, 10)):
        killed(chance.randint(1, 4), run, tmp_path / "run", chance)
    end = finished(chance.randint(1, 4), run, tmp_path / "run", "--resume", "auto")
    assert checkpoint.digest(end) == checkpoint.digest(whole)
    assert dict(told(tmp_path / "run")[: len(losses(tmp_path / "whole"))]) == losses(tmp_path / "whole")
    assert end.progress | {"seconds": 0} == whole.progress | {"seconds": 0}


def test_streams_resumed_in_the_middle_of_an_epoch_end_with_the_same_bits(tmp_path: Path) -> None:
    run = prepare(tmp_path, "LSTM", checkpoint={"every_steps": 3, "keep": 99})
    whole = finished(2, run, tmp_path / "whole")
    end = finished(3, run, tmp_path / "rest", "--resume", tmp_path / "whole" / "checkpoints" / "step-00000003.h5")
    assert checkpoint.digest(end) == checkpoint.digest(whole)
    assert told(tmp_path / "rest") == told(tmp_path / "whole")[3:]


def test_without_numba_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    narrow = {"kind": "resnet", "depth": 8, "channels": [4, 6, 8]}  # whose products aren't compiled
    run = prepare(tmp_path, "CNN, batch norm, momentum, augmentation", model=narrow)
    compiled = checkpoint.digest(finished(2, run, tmp_path / "compiled"))
    folder = tmp_path / "without"
    folder.mkdir()
    (folder / "numba.py").write_text("raise ImportError('hidden by the test')")  # the working directory comes first
    result = mpiexec(2, command(run, tmp_path / "plain"), timeout=LIMIT, cwd=folder)
    assert result.returncode == 0, result
    assert checkpoint.digest(saved(tmp_path / "plain")) == compiled


def test_it_needs_shards(tmp_path: Path) -> None:
    run = write(tmp_path)
    result = train(1, run, tmp_path / "run", "--set", "parallel.reproducible=true")
    assert result.returncode == 2
    assert "parallel.reproducible" in result.stderr
    assert "needs shards" in result.stderr


def test_a_resume_elsewhere_says_that_bits_may_differ(tmp_path: Path) -> None:
    run = write(tmp_path, parallel=SHARDS, train={"epochs": 1})
    finished(1, run, tmp_path / "run")
    more = ("--resume", "auto", "--set", "train.epochs=2")
    result = train(1, run, tmp_path / "run", *more)
    assert result.returncode == 0, result
    assert "bits" not in result.stderr + result.stdout
    more = ("--set", "train.epochs=3", "--set", "parallel.threads=2")
    result = train(1, run, tmp_path / "run", "--resume", "auto", *more)
    assert result.returncode == 0, result
    assert "the bits may differ from those of the run without a break: threads was 1 and is 2" in result.stdout


def test_a_file_for_each_sample_cut_into_splits_gives_the_same_bits(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(90):
        with h5py.File(tmp_path / f"{number:02}.h5", "w") as file:
            file["climate/data"] = random.normal(size=(4, 6, 2)).astype(np.float32)
            file["storm"] = number % 3
    data = {"path": str(tmp_path / "*.h5"), "one_sample_files": True, "x": "climate/data", "y": "storm", "classes": 3}
    split = {"validation": 0.2, "test": 9, "stratify": True}
    sections = {"data": data | {"task": "classification", "batch_size": 16, "split": split}, "parallel": SHARDS}
    run = write(tmp_path, model={"kind": "mlp", "hidden": [8]}, train={"epochs": 2}, **sections)
    alone = checkpoint.digest(finished(1, run, tmp_path / "alone"))
    assert checkpoint.digest(finished(3, run, tmp_path / "three")) == alone
    assert checkpoint.digest(finished(1, run, tmp_path / "streamed", "--set", "data.in_memory=false")) == alone
    assert told(tmp_path / "three") == told(tmp_path / "alone")
