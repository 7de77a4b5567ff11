"""The content of a checkpoint, its checksum, and copying it back into a model's parameters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from distnn.arrays import Array
from distnn.data.file.checks import listing
from distnn.errors import CheckpointError

#: The parts that are stored as JSON text; there may be none of those in `OPTIONAL`.
DOCUMENTS = ("data", "environment", "model", "progress", "settings")
OPTIONAL = ("data",)
#: Booleans, integers, floats and complex numbers, which have the same bits on disk and in memory.
_KINDS = "biufc"


def _whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _numbers(value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, dict | list) and all(_number(each) or _numbers(each) for each in inner)


def _table(value: Any) -> bool:
    return isinstance(value, dict) and _numbers(value)


def _lengths(value: Any) -> bool:
    return isinstance(value, list) and all(_whole(each) and each for each in value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_whole, value.values()))


def _named_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_text, value.values()))


def _fields(value: Any) -> bool:
    right = {"shape": _lengths, "dtype": _text, "names": _texts}
    if not isinstance(value, dict) or not all(isinstance(field, dict) for field in value.values()):
        return False
    return all(test(field[entry]) for field in value.values() for entry, test in right.items() if entry in field)


#: What known entries are where they are given: the document, the entries, the test, its words.
_ENTRIES: tuple[tuple[str, str, Callable[[Any], bool], str], ...] = (
    ("progress", "step epoch window seed batch_size accumulate best_step stale", _whole, "an integer of at least 0"),
    ("progress", "best reference seconds", _number, "a number"),
    ("progress", "order best_of", _text, "text"),
    ("progress", "sums", _numbers, "numbers"),
    ("progress", "exponents", _table, "a table of numbers"),
    ("model", "input_shape target_shape", _lengths, "a list of integers of at least 1"),
    ("model", "classes", _texts, "a list of texts"),
    ("model", "task description", _text, "text"),
    ("data", "path", _text, "text"),
    ("data", "scale", _number, "a number"),
    ("data", "counts", _counts, "a table of integers of at least 0"),
    ("data", "identity", _named_texts, "a table of texts"),
    ("data", "fields", _fields, "a table with the shape, dtype and names of each field"),
)

#: What of them may be null.
NULLABLE = ("best", "best_step", "reference", "scale")


@dataclass
class Checkpoint:
    """The state of a run after a step; it holds no per-rank state.

    Attributes:
        parameters: arrays of any shape by dotted name.
        optimizer: for each slot (``velocity`` …) its arrays by parameter name.
        progress: ``step`` (required), ``epoch``, ``batch`` (position in the epoch), ``seed``, ``best`` …
        settings: the resolved run file; it can be stored as JSON.
        model: ``input_shape``, ``task``, ``classes``, ``description``; it can be stored as JSON.
        environment: versions, CPU, BLAS, ranks: what the bits may depend on.
        transforms: what the transforms of samples and targets were fitted to, by name.
        data: what the numbers of the training data meant (`distnn.data.meaning`); empty where that isn't known.
        state: in the middle of an epoch over streams of text, a recurrent model's states by name, (streams, length).
    """

    parameters: dict[str, Array]
    optimizer: dict[str, dict[str, Array]] = field(default_factory=dict)
    progress: dict[str, int | float | str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    state: dict[str, Array] = field(default_factory=dict)
    transforms: dict[str, Array] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


def arrays(checkpoint: Checkpoint) -> dict[str, Array]:
    """Every array by its path in the file, as ``parameters/NAME`` or ``optimizer/SLOT/NAME``, in sorted order.

    Raises:
        CheckpointError: if a name can't be a path in an HDF5 file, or an array isn't numeric.
    """
    by_path = {f"parameters/{_checked(name)}": array for name, array in checkpoint.parameters.items()}
    for slot, by_name in checkpoint.optimizer.items():
        by_path |= {f"optimizer/{_checked(slot)}/{_checked(name)}": array for name, array in by_name.items()}
    for group in ("state", "transforms"):
        by_path |= {f"{group}/{_checked(name)}": array for name, array in getattr(checkpoint, group).items()}
    for path, array in by_path.items():
        if array.dtype.kind not in _KINDS:
            raise CheckpointError(
                f"checkpoint: {path} must be an array of numbers, but its dtype is {array.dtype}; convert it first."
            )
    return dict(sorted(by_path.items()))


def documents(checkpoint: Checkpoint) -> dict[str, str]:
    """The JSON text of each document, in sorted order; ASCII, so that every tool can read it.

    Raises:
        CheckpointError: if JSON can't hold a value.
    """
    texts = {}
    for name in DOCUMENTS:
        if name in OPTIONAL and not getattr(checkpoint, name):
            continue
        try:
            texts[name] = json.dumps(getattr(checkpoint, name), default=_plain)
        except (TypeError, ValueError) as error:
            raise CheckpointError(
                f"checkpoint: '{name}' can't be written as JSON ({error}); "
                f"use only numbers, texts, lists and dictionaries."
            ) from error
    return texts


def fault(found: Mapping[str, Any]) -> str:
    """What is wrong with the documents of a file, by name, so that no reader need check them; empty if nothing is."""
    for name, document in found.items():
        if not isinstance(document, dict):
            return f"'{name}' is no JSON object"
    if found["progress"].get("step") is None:
        return "'progress' has no step"
    if not all(isinstance(section, dict) for section in found["settings"].values()):
        return "'settings' has other entries than sections"
    for name, entries, right, words in _ENTRIES:
        for entry in entries.split():
            value = found[name].get(entry)
            unknown = entry not in found[name] or name == "model" or entry in NULLABLE
            if not (right(value) or (value is None and unknown)):
                return f"'{name}' has for {entry} {json.dumps(value)[:100]}, which must be {words}"
    return ""


def digest(checkpoint: Checkpoint) -> str:
    """SHA-256 of all arrays, without the settings: names, dtypes, shapes and bytes, in sorted order.

    Two runs with equal digests are in the same state to the last bit, whatever their settings and machines.
    """
    hasher = hashlib.sha256()
    for path, array in arrays(checkpoint).items():
        hasher.update(heading(path, array))
        hasher.update(flat(array).data)
    return hasher.hexdigest()


def heading(path: str, array: Array) -> bytes:
    """What precedes an array's bytes in a checksum: a line of JSON ``[path, dtype, shape]``."""
    return json.dumps([path, array.dtype.str, list(array.shape)]).encode() + b"\n"


def flat(array: Array) -> Array:
    """The array's bytes in C order; a view if the array is stored in that order."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def document(name: str, text: str) -> bytes:
    """What a document adds to a checksum: a line of JSON ``[name, length]``, then its text."""
    return json.dumps([name, len(text)]).encode() + b"\n" + text.encode()


def fit_into(
    source: Mapping[str, Array], target: Mapping[str, Array], path: str | Path, *, what: str = "parameters"
) -> None:
    """Copy every array of ``source`` into the array of the same name in ``target``: all of them, or none.

    Arguments:
        source: a checkpoint's parameters, or one slot of its optimiser.
        target: the model's arrays; float64 can be copied into float32 (rounded), and float32 into float64.
        path: the checkpoint, for the error.
        what: what the arrays are, for the error.

    Raises:
        CheckpointError: if names are missing or unexpected, or shapes differ; it lists all of them.
    """
    check_fit(source, target, path, what=what)
    for name, array in source.items():
        np.copyto(target[name], array, casting="same_kind")


def check_fit(source: Mapping[str, Array], target: Mapping[str, Any], path: str | Path, *, what: str) -> None:
    """As `fit_into`, but nothing is copied: of the ``target`` only each one's ``shape`` and ``dtype`` are needed.

    Raises:
        CheckpointError: as there.
    """
    problems = {
        "missing": [name for name in target if name not in source],
        "unexpected": [name for name in source if name not in target],
        "of another shape or kind": _misfits(source, target),
    }
    if any(problems.values()):
        texts = [f"{title}: {listing(names)}" for title, names in problems.items() if names]
        raise CheckpointError(
            f"{path}: the checkpoint's {what} don't fit this model: {'; '.join(texts)}. Use the run file that the "
            f"checkpoint was made with (`distnn inspect {path}` shows its [model]), or start a new run without it."
        )


def _misfits(source: Mapping[str, Array], target: Mapping[str, Any]) -> list[str]:
    misfits = []
    for name in target:
        if name not in source:
            continue
        if source[name].shape != target[name].shape:
            misfits.append(f"{name} (expected {target[name].shape}, found {source[name].shape})")
        elif not np.can_cast(source[name].dtype, target[name].dtype, "same_kind"):
            misfits.append(f"{name} (expected {target[name].dtype}, found {source[name].dtype})")
    return misfits


def _checked(name: str) -> str:
    if not name or name == "." or "/" in name or "\0" in name:
        raise CheckpointError(
            f"checkpoint: {name!r} can't be the name of a parameter or optimiser slot in a file; "
            f"use a dotted name such as 'dense1.weight', without '/'."
        )
    return name


def _plain(value: object) -> object:
    """Numpy's scalars and arrays as JSON values."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{value!r} is of type {type(value).__name__}")
