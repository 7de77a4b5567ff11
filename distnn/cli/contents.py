"""What is in a file, as plain dictionaries: a checkpoint, a data file, another HDF5 file, or a run file's data."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distnn import checkpoint, config
from distnn.cli.apart import Progress
from distnn.data import DataFile
from distnn.data.file.guess import guess, shown
from distnn.data.file.rows import Rows, leaves
from distnn.data.file.sealed import verify as check_seals
from distnn.session.parts import data_file

Facts = dict[str, Any]


#: So many labels are read at a time.
LABELS = 1_000_000
#: A checkpoint of so many bytes is surely read, hashed and summed up in a second of a processor.
CHECKPOINT_RATE = 20e6


def contents(path: Path, progress: Progress, *, verify: bool = False) -> Facts:
    """The facts about a file; their ``kind`` is ``checkpoint``, ``data``, ``other`` or ``run``.

    Arguments:
        path: an HDF5 file, a link such as `latest`, a checkpoints folder, a run directory, or a run file (.toml).
        progress: is told how long the rest may take.
        verify: read all of a data file, and compare it with its checksums and fingerprint.

    Raises:
        CheckpointError: if there is no such file, it isn't HDF5, or it is a damaged checkpoint.
        DataError: if it is a damaged data file.
        RunFileError: if it is a run file with a mistake in it.
    """
    if path.suffix == ".toml":
        return {"kind": "run", "path": str(path), **_run(path, progress)}
    if path.is_dir() or path.is_symlink():
        path = checkpoint.resolve(path)
    kind = checkpoint.kind_of(path)
    size = path.stat().st_size
    progress(size / CHECKPOINT_RATE if kind == "checkpoint" else 0)
    facts = {"checkpoint": _checkpoint, "data": _data, "other": _other}[kind](path)
    if verify and kind != "checkpoint":
        facts["verified"] = check_seals(path, lambda: progress(0))._asdict()
    return {"kind": kind, "path": str(path), "bytes": size, **facts}


def _checkpoint(path: Path) -> Facts:
    found = checkpoint.load(path)
    slots = {slot: sum(array.size for array in arrays.values()) for slot, arrays in found.optimizer.items()}
    return {
        "checksum": "ok",  # load verified it
        "digest": checkpoint.digest(found),
        "progress": found.progress,
        "model": found.model,
        "data": found.data,
        "settings": found.settings,
        "count": sum(array.size for array in found.parameters.values()),
        "parameters": [_parameter(name, array) for name, array in found.parameters.items()],
        "optimizer": slots,
        "transforms": [
            {"name": name, "shape": list(array.shape), "values": array.reshape(-1).tolist()}
            for name, array in found.transforms.items()
        ],
        "environment": found.environment,
    }


def _parameter(name: str, array: npt.NDArray[Any]) -> Facts:
    facts: Facts = {"name": name, "shape": list(array.shape), "dtype": str(array.dtype), "count": array.size}
    with np.errstate(all="ignore"):
        for statistic in ("mean", "std", "min", "max"):
            wide = {"dtype": np.float64} if statistic in ("mean", "std") and array.dtype.kind == "f" else {}
            value = getattr(array, statistic)(**wide) if array.size and array.dtype.kind in "fiub" else math.nan
            facts[statistic] = float(value)
    return facts


def _data(path: Path) -> Facts:
    outline = checkpoint.outline(path)
    with DataFile(path) as file:
        splits = {
            split: {"samples": file.count(split)} | {name: _stored(rows) for name, rows in file.rows(split).items()}
            for split in file.splits
        }
        facts = {"task": file.task, "classes": list(file.classes), "scale": file.scale, "splits": splits}
        facts["remarks"] = file.remarks()
    return facts | {key: outline.attributes.get(key, "") for key in ("source", "licence", "created_by", "fingerprint")}


def _stored(rows: Rows) -> Facts:
    """What a field is read from, and how that is stored."""
    datasets = list(leaves(rows))
    return {
        "shape": list(rows.shape),
        "dtype": str(datasets[0].dtype),
        "chunks": rows.chunks,
        "compression": datasets[0].compression,
        "stored": sum(dataset.id.get_storage_size() for dataset in datasets),
    }


def _run(path: Path, progress: Progress) -> Facts:
    """The data that a run file describes, split by split."""
    settings = config.read(path)
    with config.located(path), data_file(settings, beat=lambda: progress(0)) as file:
        labelled = file.task == "classification" and not file.target_shape and not settings.data.one_sample_files
        splits: Facts = {}
        for split in file.splits:
            forms = file.forms(split).items()
            fields = {name: {"shape": list(form.shape), "dtype": str(form.dtype)} for name, form in forms}
            splits[split] = {"samples": file.count(split), "fields": fields}
            if labelled:
                splits[split]["classes"] = _counts(file, split, progress)
        about = {"task": file.task, "classes": list(file.classes), "remarks": file.remarks(), "splits": splits}
    return {"data": settings.data.path, **about}


def _counts(file: DataFile, split: str, progress: Progress) -> list[int]:
    """How many samples of a split each class has."""
    counts = np.zeros(len(file.classes), np.int64)
    for start in range(0, file.count(split), LABELS):
        labels = np.empty(min(LABELS, file.count(split) - start), file.forms(split)["y"].dtype)
        file.read_into(split, start, {"y": labels})
        counts += np.bincount(labels.astype(np.int64), minlength=len(counts))
        progress(0)
    found: list[int] = counts.tolist()
    return found


def _other(path: Path) -> Facts:
    outline = checkpoint.outline(path)
    facts = {"attributes": outline.attributes, "top": list(outline.top), "datasets": len(outline.datasets)}
    return facts | {"proposal": shown(guess(path))}
