"""What the tests of checkpoints share: a small checkpoint, a folder of three, and exact comparison."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import h5py
import numpy as np

from distnn.checkpoint import Checkpoint, save

#: The parts that are JSON texts, in the order of the checksum.
DOCUMENTS = ("data", "environment", "model", "progress", "settings")
SETTINGS = {"model": {"kind": "mlp", "hidden": [64, 32]}, "train": {"epochs": 30, "seed": 0}}
MODEL = {"input_shape": [8, 8], "task": "classification", "classes": ["a", "b"], "description": "64-2"}

DATA = {
    "path": "/data/letters.h5",
    "scale": None,
    "counts": {"train": 90, "test": 10},
    "fields": {"x": {"shape": [8, 8], "dtype": "uint8"}, "y": {"shape": [], "dtype": "int64"}},
    "identity": {
        "train": "90 samples with the hash 0123456789abcdef",
        "test": "10 samples with the hash fedcba9876543210",
    },
}


def example(step: int = 3, value: float = 0.5, **progress: float | str) -> Checkpoint:
    """A checkpoint whose arrays tell its step and value."""
    weight = np.arange(12, dtype=np.float32).reshape(4, 3) + np.float32(step)
    return Checkpoint(
        parameters={
            "dense1.weight": weight,
            "dense1.bias": np.full(3, value),
            "scale": np.array(value, np.float32),
            "none": np.empty((0, 3)),
        },
        optimizer={"velocity": {"dense1.weight": weight * 2, "dense1.bias": np.zeros(3)}, "count": {"t": np.array(7)}},
        progress={"step": step, "epoch": 1, "batch": 2, "seed": 0, **progress},
        settings=SETTINGS,
        model=MODEL,
        transforms={"x.0.standardize.mean": np.array([1e9, -3.0]), "y.0.clip.low": np.array(2.0)},
        environment={"distnn": "0.1.0", "cpu": "AMD EPYC 7742", "ranks": "2"},
        data=DATA,
    )


def same(a: Checkpoint, b: Checkpoint) -> bool:
    """Whether two checkpoints are equal to the last bit, names, dtypes and shapes included."""
    documents = all(getattr(a, name) == getattr(b, name) for name in DOCUMENTS)
    return documents and _bits(a) == _bits(b)


def checksum(file: h5py.File) -> str:
    """A checkpoint's checksum, from the documentation of the format alone."""
    hasher, names = hashlib.sha256(), []
    file.visititems(lambda name, entry: names.append(name) if isinstance(entry, h5py.Dataset) else None)
    for name in sorted(names):
        array = file[name][()]
        hasher.update(json.dumps([name, array.dtype.str, list(array.shape)]).encode() + b"\n" + array.tobytes())
    for name in DOCUMENTS:
        if name not in file.attrs:
            continue
        text = file.attrs[name]
        hasher.update(json.dumps([name, len(text)]).encode() + b"\n" + text)
    return hasher.hexdigest()


def resealed(path: Path, name: str, document: object) -> Path:
    """The checkpoint with another document and the checksum that belongs to it, which needs no key."""
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        del file.attrs[name]
        file.attrs[name] = np.bytes_(json.dumps(document).encode())
        file.attrs["sha256"] = np.bytes_(checksum(file).encode())
    return path


def three(folder: Path) -> Path:
    """RUN/checkpoints with steps 1, 2 and 3; `best` names 2."""
    for step in (1, 2, 3):
        save(folder / "run" / "checkpoints", example(step), keep=3, best=step == 2)
    return folder / "run" / "checkpoints"


def steps(checkpoints: Path) -> list[int]:
    """The steps of the files in a folder."""
    return sorted(int(path.name[5:-3]) for path in checkpoints.glob("step-????????.h5"))


def state(checkpoints: Path) -> dict[str, bytes | str]:
    """Every name in the folder, with the file's bytes or the link's target."""
    return {
        path.name: os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(checkpoints.iterdir())
    }


def _bits(checkpoint: Checkpoint) -> dict[str, dict[str, tuple[str, tuple[int, ...], bytes]]]:
    groups = {"": checkpoint.parameters, "state": checkpoint.state, "transforms": checkpoint.transforms}
    groups |= {f"slot {name}": slot for name, slot in checkpoint.optimizer.items()}
    return {
        group: {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}
        for group, arrays in groups.items()
    }
