"""Splitting samples into train, validation and test: at random from a seed, or by their order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from distnn.data.cutting import Cut, stratified
from distnn.errors import DataError

#: What splits are called, in small letters.
SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "testing": "test",
    "test": "test",
}


class Shares(NamedTuple):
    """How samples are split at random: the fractions for validation and test, 0.1 if None, a seed, and of images the
    column of groups, such as patients, of which none may be in two splits.
    """

    validation: float | None = None
    test: float | None = None
    seed: int = 0
    group: str | None = None

    @property
    def fractions(self) -> tuple[float, float]:
        """For validation and for test."""
        return tuple(0.1 if fraction is None else fraction for fraction in self[:2])  # type: ignore[return-value]


TENTHS = Shares()


def cut(source: Path, labels: np.ndarray, groups: np.ndarray | None, how: Shares) -> dict[str, np.ndarray]:
    """The indices of the samples of each split.

    Args:
        source: where the samples come from, for the message.
        labels: (N,) classes to distribute evenly; all equal for a plain random split.
        groups: (N,) numbers, of which none may be in two splits; None: stratified by the labels.
        how: the fractions and the seed.

    Raises:
        DataError: the fractions are negative or leave nothing to train on, or the groups are too large for them.
    """
    samples, (validation, test) = len(labels), how.fractions
    counts = {"validation": round(samples * validation), "test": round(samples * test)}
    if min(validation, test) < 0 or validation + test >= 1 or sum(counts.values()) >= samples:
        raise DataError(
            f"{source}: a fraction of {validation:g} for validation and {test:g} for test leaves none of the {samples} "
            "samples to train on; expected fractions of 0 or more whose sum is well below 1."
        )
    if groups is None:
        return stratified(labels, counts["validation"], counts["test"], how.seed)
    try:
        return Cut(counts["validation"], counts["test"], how.seed).by_group(str(source), groups, samples)
    except DataError as error:
        raise DataError(
            f"{source}: its {len(np.unique(groups))} groups are too few or too large to leave some for each split; "
            "expected more groups, or other fractions (0 for no such split)."
        ) from error


def by_fraction(source: Path, fields: Mapping[str, np.ndarray], *, task: str, how: Shares) -> dict[str, dict[str, Any]]:
    """Split the fields x, y … at random; for a classification, stratified by label.

    Args:
        source: where they come from, for the message.
        fields: arrays (N, …) by name, of which y holds the targets.
        task: classification or regression.
        how: the fractions and the seed.

    Raises:
        DataError: they differ in length, or the fractions are negative or leave nothing to train on.
    """
    shapes = {name: values.shape for name, values in fields.items()}
    if len({shape[:1] for shape in shapes.values()}) > 1 or () in shapes.values():
        listed = " and ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise DataError(f"{source}: the shapes {listed} differ in their length; expected one of each for every sample.")
    y = fields["y"]
    labels = y if task == "classification" else np.zeros(len(y), np.uint8)
    rows = cut(source, labels, None, how)
    return {split: {name: values[index] for name, values in fields.items()} for split, index in rows.items()}


def last_for_validation(source: Path, x: Any, y: Any, count: int) -> dict[str, tuple[Any, Any]]:
    """The last ``count`` samples as the validation split, and the others as train; no validation split if it is 0.

    Raises:
        DataError: ``count`` is negative, or leaves no sample to train on.
    """
    if not 0 <= count < len(x):
        raise DataError(
            f"{source}: {count} samples for validation were asked for, but it holds {len(x)} in all; expected 0 to "
            f"{len(x) - 1}, so that some are left to train on."
        )
    cut = len(x) - count
    splits = {"train": (x[:cut], y[:cut])}
    return splits | {"validation": (x[cut:], y[cut:])} if count else splits
