"""Settings to start with, for a kind of model and the data at hand."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import numpy as np

from distnn.data import DataFile
from distnn.data.file.checks import of_pixels
from distnn.data.file.rows import bytes_of_one
from distnn.data.partition import batches

Table = dict[str, dict[str, Any]]

_COSINE: dict[str, Any] = {"kind": "cosine", "warmup_steps": 100}
_ADAM: dict[str, Any] = {"kind": "adam", "learning_rate": 0.001}
_LINEAR: Table = {"train": {"epochs": 20, "seed": 0}, "optimizer": {"kind": "adam", "learning_rate": 0.01}}
#: What has served each kind of model (data/*.toml).
RECIPES: dict[str, Table] = {
    "linear": _LINEAR,
    "logistic": _LINEAR,
    "softmax": _LINEAR,
    "mlp": {"model": {"hidden": [64, 32]}, "train": {"epochs": 30, "seed": 0}, "optimizer": _ADAM},
    "convnet": {
        "train": {"epochs": 12, "seed": 0},
        "optimizer": {"kind": "sgd", "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 1e-4},
        "schedule": _COSINE,
    },
    "resnet": {
        "model": {"depth": 8},
        "train": {"epochs": 20, "seed": 0},
        "optimizer": {"kind": "sgd", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4},
        "schedule": _COSINE,
    },
    "fcn": {"train": {"epochs": 20, "seed": 0}, "optimizer": _ADAM},
    "char-lstm": {
        "model": {"hidden": [256]},
        "data": {"streams": True},
        "train": {"epochs": 4, "seed": 0, "clip_norm": 1.0},
        "optimizer": {"kind": "adam", "learning_rate": 0.002},
        "schedule": _COSINE,
    },
}
#: For tables (benchmarks/tables.py).
_TABLE: Table = {
    "model": {"hidden": [64, 64], "activation": "gelu"},
    "train": {"seed": 0},
    "optimizer": {"kind": "adamw", "learning_rate": 0.005},
    "schedule": _COSINE,
}
#: Steps that are enough for a table, and the fewest and most epochs to make so many.
STEPS, FEWEST, MOST = 1500, 30, 100
#: A small table is soon known by heart: weight decay λ is so much over the number of its samples, as if the weights had
#: one distribution before any is seen; and at most so much. With the mean rate ᾱ of 0.0025, what was learned lasts for
#: 1/(ᾱ λ) = 400 of the 1,500 steps then; with more decay, little but straight lines is learned.
DECAY, MOST_DECAY = 400.0, 1.0
#: Of the losses over fewer validation samples the least is the luckiest, and the earlier an epoch, the higher its rate,
#: which leaves the weights astray: the last epoch, whose rate is 0, is better than what seems best.
JUDGES = 100
#: So small a table's epoch takes less time than a checkpoint, so there is one after so many only.
SAVED = 10
#: What says more of a network than its loss.
METRICS = {"regression": ["r2", "mae"], "segmentation": ["iou"]}
#: Where no data are given: a file for each kind of model, and how it is made.
DATA = dict.fromkeys(RECIPES, ("digits.h5", "distnn data digits -o digits.h5")) | {
    "linear": ("table.h5", "distnn data csv table.csv --target COLUMN --task regression -o table.h5"),
    "logistic": ("table.h5", "distnn data csv table.csv --target COLUMN -o table.h5"),
    "fcn": ("images.h5", "distnn.data.write_data, with a label for each pixel"),
    "char-lstm": ("text.h5", "distnn data text text.txt -o text.h5"),
}
#: Images from so many pixels on, each way, are worth a network that looks for patterns.
IMAGE = 16
#: So many bytes of the samples are looked at.
LOOKED_AT = 64 * 1024 * 1024
#: A batch as a part of the training samples, and the smallest and largest power of 2 that is proposed.
PART, SMALLEST, LARGEST = 20, 4, 8
#: Streams that a text is read as.
STREAMS = 64


def proposal(kind: str, path: str, file: DataFile | None) -> Table:
    """Settings for a kind of model on the data of ``path``; with the file, their batch fits it."""
    samples = None if file is None else file.count("train")
    of_rows = kind == "mlp" and file is not None and len(file.sample_shape) == 1
    table = deepcopy(_TABLE if of_rows else RECIPES.get(kind, {}))
    table["model"] = {"kind": kind, **table.get("model", {})}
    batch = batch_size(kind, samples)
    if of_rows and file is not None and samples is not None:
        table["train"] = {"epochs": min(max(STEPS // batches(samples, batch), FEWEST), MOST), **table["train"]}
        table["optimizer"]["weight_decay"] = float(f"{min(DECAY / samples, MOST_DECAY):.1g}")
        if "validation" in file.splits and file.count("validation") < JUDGES:
            table["checkpoint"] = {"best": False, "every_epochs": SAVED}
    table["data"] = {"path": path, "batch_size": batch, **table.get("data", {})}
    if file is not None and (wished := transforms(file)):
        table["transforms"] = wished
    if file is not None and file.task in METRICS:
        table["metrics"] = {"kinds": METRICS[file.task]}
    if samples is not None and "schedule" in table:
        steps = table["train"]["epochs"] * batches(samples, batch)
        table["schedule"]["warmup_steps"] = min(table["schedule"]["warmup_steps"], steps // 10)
    return table


def transforms(file: DataFile) -> dict[str, list[Any]]:
    """Tables, other numbers than pixels, and targets of a regression are standardised, images of pixels mapped to 0..1,
    and what tables lack is filled in.
    """
    found: dict[str, list[Any]] = {}
    if file.scale is None and file.task != "language":
        if of_pixels(file.x_dtype, file.sample_shape):
            found["x"] = [{"kind": "scale", "factor": 1 / 255}]
        elif len(file.sample_shape) == 1:
            found["x"] = ["fill", "standardize"] if lacks(file) else ["standardize"]
        elif file.x_dtype.kind == "f":
            found["x"] = [{"kind": "standardize", "axis": "channel"} if len(file.sample_shape) > 2 else "standardize"]
    if file.task == "regression":
        found["y"] = ["standardize"]
    return found


def lacks(file: DataFile) -> bool:
    """Whether some numbers are missing (NaN) in the training samples, as far as these are looked at.

    Raises:
        DataError: they can't be read.
    """
    rows = file.rows("train")["x"]
    if rows.dtype.kind != "f":
        return False
    count = min(rows.shape[0], max(1, LOOKED_AT // bytes_of_one(rows)))
    values = np.empty((count, *rows.shape[1:]), rows.dtype.newbyteorder("="))
    try:
        rows.read_direct(values, np.s_[0:count])
    except (OSError, RuntimeError) as error:
        raise file.unreadable("train", 0, count, error) from error
    return bool(np.isnan(values).any())


def batch_size(kind: str, samples: int | None) -> int:
    """A power of 2 about a twentieth of the training samples, or the number of a text's streams; 64 for unknown data.

    >>> [batch_size("mlp", samples) for samples in (None, 10, 100, 1297, 55000)]
    [64, 10, 16, 64, 256]
    """
    if samples is None:
        return STREAMS
    if kind == "char-lstm":
        return max(1, min(STREAMS, samples // 2))
    power = min(max(round(math.log2(max(1, samples / PART))), SMALLEST), LARGEST)
    return min(int(2**power), samples)


def model_for(file: DataFile) -> str:
    """The kind of model to begin with: the task's own, or for images a convnet if they are large; or a perceptron."""
    if file.task in ("language", "segmentation"):
        return "char-lstm" if file.task == "language" else "fcn"
    if len(file.target_shape) > 1 and file.target_shape[:2] == file.sample_shape[:2]:
        return "fcn"  # images to images
    image = len(file.sample_shape) in (2, 3) and min(file.sample_shape[:2]) >= IMAGE
    return "convnet" if image else "mlp"
