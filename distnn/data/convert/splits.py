"""Splitting samples into train, validation and test: at random from a seed, or by their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

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


def grouped(groups: np.ndarray, validation: int, test: int, seed: int) -> dict[str, np.ndarray]:
    """Indices of train, validation and test, each in random order, with all samples of a group in one split.

    The groups are taken in random order, and each goes to test, else to validation, if that brings its size nearer to
    what was asked for, and else to train.

    Args:
        groups: (N,) the group of each sample, a number.
        validation, test: about how many samples to use for them.
        seed: of the random order.

    Returns:
        The splits that aren't empty, by name.
    """
    order = shuffled(len(groups), seed)
    _, first, place, sizes = np.unique(groups[order], return_index=True, return_inverse=True, return_counts=True)
    split = np.zeros(len(sizes), np.uint8)
    lacking = {2: test, 1: validation}
    for group in np.argsort(first):
        for number, count in lacking.items():
            if abs(count - sizes[group]) < abs(count):
                split[group], lacking[number] = number, count - sizes[group]
                break
    parts = {name: order[split[place] == number] for number, name in enumerate(("train", "validation", "test"))}
    return {name: part for name, part in parts.items() if len(part)}


class Cut(NamedTuple):
    """How samples are split at random: the fractions for validation and test, 0.1 if None, and a seed."""

    validation: float | None = None
    test: float | None = None
    seed: int = 0

    @property
    def fractions(self) -> tuple[float, float]:
        """For validation and for test."""
        return tuple(0.1 if fraction is None else fraction for fraction in self[:2])  # type: ignore[return-value]


TENTHS = Cut()


def cut(source: Path, labels: np.ndarray, groups: np.ndarray | None, how: Cut) -> dict[str, np.ndarray]:
    """The indices of the samples of each split.

    Args:
        source: where the samples come from, for the message.
        labels: (N,) classes to distribute evenly; all equal for a plain random split.
        groups: (N,) numbers, of which none may be in two splits; None: `stratified` by the labels.
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
    parts = grouped(groups, counts["validation"], counts["test"], how.seed)
    wanted = ["train", *(name for name, count in counts.items() if count)]
    if empty := [name for name in wanted if name not in parts]:
        raise DataError(
            f"{source}: its {len(np.unique(groups))} groups are too few or too large to leave any for {empty[0]}; "
            "expected more groups, or other fractions (0 for no such split)."
        )
    return parts


def by_fraction(source: Path, x: np.ndarray, y: np.ndarray, *, task: str, how: Cut) -> dict[str, tuple[Any, Any]]:
    """Split x and y at random; for a classification, stratified by label.

    Args:
        source: where they come from, for the message.
        x: samples (N, …).
        y: targets (N,) or (N, …).
        task: classification or regression.
        how: the fractions and the seed.

    Raises:
        DataError: x and y differ in length, or the fractions are negative or leave nothing to train on.
    """
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise DataError(
            f"{source}: x has the shape {x.shape} and y {y.shape}; expected one target for each sample, in the same "
            "order."
        )
    labels = y if task == "classification" else np.zeros(len(x), np.uint8)
    return {name: (x[index], y[index]) for name, index in cut(source, labels, None, how).items()}


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
