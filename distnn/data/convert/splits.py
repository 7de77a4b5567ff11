"""Splitting samples into train, validation and test: at random from a seed, or by their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from distnn.errors import DataError


def shuffled(samples: int, seed: int) -> np.ndarray:
    """A permutation of 0..samples−1 from a seed, the same under every version of numpy.

    It sorts the raw output of a PCG64 generator, which numpy guarantees never to change; the results of `Generator`'s
    methods may change (NEP 19).
    """
    return np.argsort(np.random.PCG64(seed).random_raw(samples), kind="stable")


def stratified(labels: np.ndarray, validation: int, test: int, seed: int) -> dict[str, np.ndarray]:
    """Indices of train, validation and test, each in random order, with every class in proportion.

    The shuffled samples are lined up class by class, and evenly spaced ones along the line are taken: of a class of n
    among N samples, validation · n / N are in the validation split, to within one, and likewise for test.

    Args:
        labels: (N,) classes to distribute evenly; all equal for a plain random split.
        validation, test: how many samples to use for them; may be 0; validation + test < N.
        seed: of the random split.

    Returns:
        The splits that aren't empty, by name.
    """
    order = shuffled(len(labels), seed)
    line = order[np.argsort(labels[order], kind="stable")]
    tested = _evenly(len(line), test)
    rest = line[~tested]
    validated = _evenly(len(rest), validation)
    rank = np.argsort(order)
    parts = {"train": rest[~validated], "validation": rest[validated], "test": line[tested]}
    return {name: part[np.argsort(rank[part])] for name, part in parts.items() if len(part)}


def _evenly(length: int, count: int) -> np.ndarray:
    """(length,) flags, of which ``count`` are set, evenly spaced."""
    steps = np.arange(length + 1, dtype=np.int64) * count // max(length, 1)
    return np.diff(steps) > 0


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
