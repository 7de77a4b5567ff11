"""Splitting samples into train, validation and test: at random from a seed, or by their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from distnn.data.cutting import stratified
from distnn.errors import DataError


def by_fraction(
    source: Path, x: np.ndarray, y: np.ndarray, *, task: str, validation: float, test: float, seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Split x and y at random; for a classification, stratified by label.

    Args:
        source: where they come from, for the message.
        x: samples (N, …).
        y: targets (N,) or (N, …).
        task: classification or regression.
        validation, test: the fractions of the samples for them; may be 0.
        seed: of the random split.

    Raises:
        DataError: x and y differ in length, or the fractions are negative or leave nothing to train on.
    """
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise DataError(
            f"{source}: x has the shape {x.shape} and y {y.shape}; expected one target for each sample, in the same "
            "order."
        )
    samples = len(x)
    counts = [round(samples * fraction) for fraction in (validation, test)]
    if min(validation, test) < 0 or validation + test >= 1 or sum(counts) >= samples:
        raise DataError(
            f"{source}: a fraction of {validation:g} for validation and {test:g} for test leaves none of the {samples} "
            "samples to train on; expected fractions of 0 or more whose sum is well below 1."
        )
    labels = y if task == "classification" else np.zeros(samples, np.uint8)
    indices = stratified(labels, counts[0], counts[1], seed)
    return {name: (x[index], y[index]) for name, index in indices.items()}


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
