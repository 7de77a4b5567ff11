"""What the numbers of a data file mean, as a document: it goes into checkpoints, so that other data can be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distnn.data.file.reading import DataFile


def meaning(file: DataFile, identity: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be known of the data that a network is trained on, without their values.

    Arguments:
        file: the data.
        identity: as `DataFile.identity` says.

    Returns:
        ``path``; ``scale``; ``counts``, the number of samples of each split; ``fields``, for each one its ``shape`` (of
        one sample), its ``dtype``, and the ``names`` along its last axis; ``identity``, a text for each split that
        tells it from others.
    """
    counts = {split: file.count(split) for split in file.splits}
    return {
        "path": str(Path(file.path).absolute()),
        "scale": file.scale,
        "counts": counts,
        "fields": {
            name: {"shape": list(form.shape), "dtype": form.dtype.name, "names": list(file.names(name))}
            for name, form in file.forms("train").items()
        },
        "identity": {
            split: f"{count} samples with the hash {_hash(identity, split)}" for split, count in counts.items()
        },
    }


def _hash(identity: Mapping[str, Any], split: str) -> str:
    """Of what an identity says of the fields of a split."""
    texts = (str(fact) for name, fact in identity.items() if name.startswith(f"{split}/"))
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:16]
