"""`parallel.reproducible`: the same bits on any number of ranks, under any MPI, and after any break."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from distnn import checkpoint
from distnn.data import DataFile, write_data
from tests.parallel.test_kill import killed
from tests.support.launch import mpiexec, usable
from tests.support.resuming import LIMIT, command, finished, train, write
from tests.support.runs import DIGITS, babble, losses, metrics, saved

SHARDS = {"reproducible": True, "shards": 8}
ADAM = {"kind": "adam", "learning_rate": 0.003}
MOMENTUM = {"learning_rate": 0.05, "momentum": 0.9}
MLP = [
    {"kind": "flatten"},
    {"kind": "dense", "units": 40, "activation": "relu"},
    {"kind": "dropout", "rate": 0.2},
    {"kind": "dense", "units": 24, "activation": "tanh"},
    {"kind": "dense", "units": 10},
]
#: Each with a ragged last batch; 8 micro-shards of a few samples. Products of CNN and LSTM are compiled, and BLAS's.
RUNS: dict[str, dict[str, Any]] = {
    "MLP, dropout, Adam, clipped": {
        "model": {"layers": MLP},
        "optimizer": ADAM,
        "train": {"epochs": 2, "clip_norm": 0.5, "accumulate": 2},
    },
    "CNN, batch norm, momentum, augmentation": {
        "model": {"kind": "resnet", "depth": 8, "channels": [16, 6, 16]},
        "optimizer": MOMENTUM | {"nesterov": True, "weight_decay": 1e-3},
        "augment": {"flip": True, "shift": 1},
        "schedule": {"kind": "cosine", "warmup_steps": 2},
        "train": {"epochs": 2},
    },
    "LSTM": {
        "model": {"kind": "char-lstm", "embedding": 4, "hidden": [128], "dropout": 0.1},
        "optimizer": ADAM,
        "train": {"epochs": 2, "clip_norm": 1.0},
    },
    "LAMB, float64": {
        "model": {"kind": "mlp", "hidden": [40]},
        "optimizer": {"kind": "lamb", "learning_rate": 0.003},
        "train": {"epochs": 1, "dtype": "float64"},
    },
}


def images(path: Path) -> Path:
    """A few of the digits, as pictures."""
    with DataFile(DIGITS) as file:
        splits = {split: file.read(split, 0, 200 if split == "train" else 70) for split in file.splits}
        pictures = {split: (x.reshape(-1, 8, 8), y) for split, (x, y) in splits.items()}
        return write_data(path, pictures, task=file.task, classes=file.classes, scale=file.scale)


def prepare(folder: Path, name: str, **sections: Any) -> Path:
    """The run file of that name, with its data."""
    text = "LSTM" in name
    path = babble(folder / "text.h5", 900) if text else images(folder / "digits.h5")
    data = {"path": str(path), "batch_size": 30} | ({"streams": True} if text else {})
    return write(folder, **RUNS[name] | {"data": data, "parallel": SHARDS} | sections)


def told(out: Path) -> list[tuple[Any, ...]]:
    """Every loss that a run told."""
    evaluations = [(r["split"], r["epoch"], r["loss"], r["accuracy"]) for r in metrics(out, "evaluation")]
    return [*sorted(losses(out).items()), *evaluations]


@pytest.mark.parametrize("name", RUNS)
def test_any_number_of_ranks_under_any_mpi_ends_with_the_same_bits(name: str, tmp_path: Path) -> None:
    run = prepare(tmp_path, name)
    alone = checkpoint.digest(finished(1, run, tmp_path / "alone"))
    others = [("mpich", n) for n in ((3,) if "float64" in name else (2, 3, 4, 5, 8))]
    if usable("openmpi") and "float64" not in name:
        others.append(("openmpi", 3))
    for launcher, n in others:
        out = tmp_path / f"{launcher}-{n}"
        assert checkpoint.digest(finished(n, run, out, launcher=launcher)) == alone, (launcher, n)
        assert told(out) == told(tmp_path / "alone"), (launcher, n)


@pytest.mark.parametrize("reduction", ["allreduce", "node"])
def test_either_reduction_gives_the_same_bits(reduction: str, tmp_path: Path) -> None:
    run = prepare(tmp_path, "MLP, dropout, Adam, clipped")
    alone = checkpoint.digest(finished(1, run, tmp_path / "alone"))
    out = tmp_path / reduction
    assert checkpoint.digest(finished(3, run, out, "--set", f"parallel.reduction={reduction}")) == alone


def test_killed_ten_times_on_any_number_of_ranks_it_ends_with_the_bits_of_one_undisturbed_rank(tmp_path: Path) -> None:
    sections = {"optimizer": ADAM, "model": {"layers": MLP}, "parallel": SHARDS, "train": {"epochs": 20}}
    run, chance = write(tmp_path, **sections), random.Random(3)
    whole = finished(1, run, tmp_path / "whole")
    for _ in range(10):
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
