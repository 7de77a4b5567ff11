"""Runs whose bits are the same wherever they run, of every kind: small ones, which tests repeat in other ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distnn.data import DataFile, write_data
from tests.support.resuming import write
from tests.support.runs import DIGITS, babble, losses, metrics

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
