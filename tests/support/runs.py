"""What tests of whole runs share: settings and run files, the command line as a process, and what a run left behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from distnn import checkpoint, config
from distnn.data import DataFile, write_data
from distnn.data.convert.text import convert as convert_text
from distnn.parallel.communicator import Communicator
from distnn.parallel.world import World
from distnn.session.build import Run
from distnn.session.parts import data_file
from tests.support.forked import forked
from tests.support.launch import REPOSITORY, environment

DIGITS = REPOSITORY / "data" / "digits.h5"
#: How the tests run distnn; arguments follow.
DISTNN = (sys.executable, "-m", "distnn")
#: Seconds for a process, should it hang; a busy machine may take many for what is over in one elsewhere.
LIMIT = 240

T = TypeVar("T")
Sections = Mapping[str, Any]
Arrays = dict[str, np.ndarray]


def settings(**sections: Sections) -> config.RunSettings:
    """A small network on the digits, two epochs long; ``sections`` replace single keys."""
    table: dict[str, dict[str, Any]] = {
        "model": {"kind": "mlp", "hidden": [16]},
        "data": {"path": str(DIGITS)},
        "train": {"epochs": 2},
        "optimizer": {"learning_rate": 0.05},
    }
    model = sections.get("model", {})
    if "layers" in model or "factory" in model or model.get("kind", "mlp") != "mlp":
        table["model"] = {}
    for section, keys in sections.items():
        table.setdefault(section, {}).update(keys)
    return config.from_dict(table)


def run_file(path: Path, **sections: Sections) -> Path:
    """`settings` as a run file."""
    path.write_text(config.to_toml(settings(**sections)))
    return path


def alone() -> World:
    """The world of a single rank, without MPI."""
    return World.of(Communicator())


def assembled(world: World, **sections: Sections) -> Run:
    """The run of `settings`, ready to step."""
    chosen = settings(**sections)
    with data_file(chosen) as file:
        return Run(chosen, file, world)


def train_epoch(run: Run, epoch: int = 0) -> tuple[np.ndarray, list[int]]:
    """An epoch's steps, one after the other: the mean loss of each, and the number of samples that it counted."""
    train = run.settings.train
    run.loader.begin(train.seed, epoch)
    losses, samples = [], []
    for window in range(run.step.windows):
        number = epoch * run.step.windows + window
        rate = run.settings.optimizer.learning_rate * run.factor(number)
        sums = run.step.run(window, rate, number=number).sums
        losses.append(sums.mean_loss)
        samples.append(sums.samples)
    return np.array(losses), samples


def once(comm: Communicator, function: Callable[[], T]) -> T:
    """Rank 0's ``function()`` on every rank: what all would compute alike. The others sleep, and leave it the cores."""
    result = function() if comm.root else None
    over = comm.mpi.Ibarrier()
    while not over.Test():
        time.sleep(0.002)
    return comm.bcast(result)


def course(run: Run, epochs: int = 1) -> tuple[list[np.ndarray], Arrays]:
    """Train some epochs: the losses of each one's steps, and the parameters at the end."""
    found = [train_epoch(run, epoch)[0] for epoch in range(epochs)]
    return found, {name: value.copy() for name, value in run.parameters.value.items()}


def some_digits(path: Path, train: int, other: int = 40) -> Path:
    """The first digits of each split, for tests of many small steps."""
    with DataFile(DIGITS) as file:
        splits = {split: file.read(split, 0, train if split == "train" else other) for split in file.splits}
        return write_data(path, splits, task=file.task, classes=file.classes, scale=file.scale)


def blobs(path: Path, samples: Mapping[str, int], *, classes: int = 3, features: int = 4, seed: int = 0) -> Path:
    """A data file of ``classes`` clouds of points, which a linear model can tell apart; float64, of unit scale."""
    random = np.random.default_rng(seed)
    centres = random.normal(0, 3, (classes, features))
    splits = {}
    for split, count in samples.items():
        y = random.integers(0, classes, count)
        splits[split] = (centres[y] + random.normal(0, 1, (count, features)), y)
    return write_data(path, splits, task="classification", classes=[f"class {k}" for k in range(classes)])


def line(path: Path, samples: Mapping[str, int], *, features: int = 4, outputs: int = 2, seed: int = 0) -> Path:
    """A data file for regression: y = x W + b and a little noise, float64."""
    random = np.random.default_rng(seed)
    weight = random.normal(0, 1, (features, outputs))
    splits = {}
    for split, count in samples.items():
        x = random.normal(0, 1, (count, features))
        splits[split] = (x, x @ weight + 0.5 + random.normal(0, 0.01, (count, outputs)))
    return write_data(path, splits, task="regression")


def babble(path: Path, characters: int, *, length: int = 5, seed: int = 0, **fractions: float) -> Path:
    """A data file of a text in which each character follows from the one before it, but for chance."""
    random = np.random.default_rng(seed)
    steps = random.choice([1, 2, 5], characters, p=[0.7, 0.2, 0.1])
    source = path.with_suffix(".txt")
    source.write_text("".join("abcdefg"[place % 7] for place in np.cumsum(steps)))
    return convert_text(path, source, length=length, force=True, **fractions)


def distnn(
    *args: str | Path, cwd: Path | None = None, env: Mapping[str, str | None] | None = None
) -> subprocess.CompletedProcess[str]:
    """``distnn`` with these arguments, as one process without a launcher.

    It is forked (`tests.support.forked`), or started anew if ``env`` asks for other variables.
    """
    if env is None:
        return forked([*map(str, args)], cwd=cwd, env=environment("none"), timeout=LIMIT)
    return started(*args, cwd=cwd, env=env)


def started(
    *args: str | Path, cwd: Path | None = None, env: Mapping[str, str | None] | None = None
) -> subprocess.CompletedProcess[str]:
    """The same, as ``python -m distnn``."""
    return subprocess.run(
        [*DISTNN, *map(str, args)],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment("none", env),
        timeout=LIMIT,
    )


def metrics(run: Path, kind: str) -> list[dict[str, Any]]:
    """The records of one kind in a run's ``metrics.jsonl``."""
    path = run / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []  # what follows the last newline is half a line
    records = [json.loads(text) for text in lines]
    return [record for record in records if record["kind"] == kind]


def losses(run: Path) -> dict[int, float]:
    """The mean training loss of each step, where ``log.interval`` is 0; a step done twice counts as it was last."""
    return {record["step"]: record["loss"] for record in metrics(run, "train")}


def saved(run: Path) -> checkpoint.Checkpoint:
    """The checkpoint that `latest` names."""
    return checkpoint.load(checkpoint.resolve(run))


def distance(found: Arrays, expected: Arrays) -> float:
    """‖found − expected‖ / ‖expected‖ over all parameters."""
    assert found.keys() == expected.keys()
    pairs = [(found[name].astype(float), expected[name].astype(float)) for name in expected]
    return float(np.sqrt(sum(np.sum((a - b) ** 2) for a, b in pairs)) / np.sqrt(sum(np.sum(b**2) for _, b in pairs)))


def snapshot(folder: Path) -> dict[str, bytes | str]:
    """Every name below a folder, with the file's bytes or the link's target."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    } | {f"{path.relative_to(folder)}/": "" for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()}
