"""Cutting one set of samples into train, validation and test: at random from a seed, by class, by group, or by file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np

from distnn.arrays import Array
from distnn.errors import DataError, complain, nearest

#: The splits that are cut off; the rest is for training.
CUT_OFF = ("validation", "test")


@dataclass(frozen=True)
class Cut:
    """How a set of samples is cut; nothing of it depends on ranks, so each computes the same.

    Arguments:
        validation, test: what is for them: a fraction of the samples (float), so many of them (int), or none (0).
        seed: of the random choice.
        stratify: each class gives its share to each split, to within one sample (see `stratified`).
        group: the dataset that holds the group of each sample; all samples of a group go to the same split.
        files: instead of all these, patterns of the names of the files whose samples are for each split.
    """

    validation: float | int = 0
    test: float | int = 0
    seed: int = 0
    stratify: bool = False
    group: str = ""
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def made(self) -> tuple[str, ...]:
        """The splits that are cut off from the training samples."""
        return tuple(name for name in CUT_OFF if self.files.get(name) or getattr(self, name))

    def at_random(self, where: str, samples: int) -> dict[str, Array]:
        """The numbers of the samples of each split, rising; any is as likely as any other to be in one.

        Raises:
            DataError: naming ``where``, if a split would have no sample.
        """
        return _rising(stratified(np.zeros(samples, np.uint8), *self.sizes(where, samples), self.seed))

    def by_class(self, where: str, labels: Array, names: Sequence[str]) -> dict[str, Array]:
        """The numbers of the samples of each split, rising; each split has every class in proportion.

        Raises:
            DataError: naming ``where``, if a split would have no sample, or a class has fewer samples than splits.
        """
        sizes, needed = self.sizes(where, len(labels)), 1 + len(self.made)
        there, counts = np.unique(labels, return_counts=True)
        rare = [(int(label), int(count)) for label, count in zip(there, counts, strict=True) if count < needed]
        if rare:
            label, count = rare[0]
            name = repr(names[label]) if 0 <= label < len(names) else label
            more = f" (and {len(rare) - 1} more classes have as few)" if len(rare) > 1 else ""
            raise DataError(
                f"{where}: data.split.stratify = true, but the class {name} has {count} of the samples{more}, which is "
                f"too few for train and {' and '.join(self.made)} to have one each. Add samples of it or take it out, "
                f"cut off one split only, or leave stratify out."
            )
        return _rising(stratified(labels, *sizes, self.seed))

    def by_group(self, where: str, groups: Array, samples: int) -> dict[str, Array]:
        """The numbers of the samples of each split, rising; no group is in two splits.

        The shuffled groups are gone through once for each split, test first: what brings its number of samples nearer
        to the wanted one is taken. So that number is met as well as whole groups allow.

        Arguments:
            where: named in errors.
            groups: the group of each sample: integers or texts.
            samples: how many there are.

        Raises:
            DataError: if the groups aren't those of the samples, or can't be shared out.
        """
        _check_groups(where, self.group, groups, samples)
        wanted = dict(zip(CUT_OFF, self.sizes(where, samples), strict=True))
        names, of_sample, lengths = np.unique(groups, return_inverse=True, return_counts=True)
        if len(names) <= len(self.made):
            raise DataError(
                f"{where}: the samples are of {len(names)} group{'s' * (len(names) > 1)} in all (data.split.group = "
                f"{self.group!r}), which is too few for train and {' and '.join(self.made)} to have one each."
            )
        split_of = np.zeros(len(names), np.uint8)  # 0: train
        order = shuffled(len(names), self.seed).tolist()
        for number, split in reversed([*enumerate(CUT_OFF, 1)]):
            taken = _nearest_sum([k for k in order if not split_of[k]], lengths, wanted[split])
            if wanted[split] and (not taken or not (split_of == 0).sum() - len(taken)):
                raise DataError(
                    f"{where}: the groups (data.split.group = {self.group!r}) are too large, with up to "
                    f"{lengths.max()} of the {samples} samples, to make a split of about {wanted[split]} samples for "
                    f"{split} and leave some to the others. Ask for more or fewer samples, or for smaller groups."
                )
            split_of[taken] = number
        splits = split_of[of_sample.reshape(-1)]
        return {
            name: np.flatnonzero(splits == number)
            for number, name in enumerate(("train", *CUT_OFF))
            if not number or wanted[name]
        }

    def sizes(self, where: str, samples: int) -> tuple[int, int]:
        """How many of the samples are for validation and test.

        Raises:
            DataError: naming ``where``, if a split would have no sample.
        """
        sizes = {}
        for name in CUT_OFF:
            share = getattr(self, name)
            sizes[name] = share if isinstance(share, int) else round(samples * share)
            if share and not sizes[name]:
                raise DataError(
                    f"{where}: data.split.{name} = {share:g} of {samples} samples is none; ask for at least "
                    f"{1 / samples:.1g}, or for a number of samples, such as {name} = {max(1, samples // 10)}."
                )
        if sum(sizes.values()) >= samples:
            asked = " and ".join(f"{name} = {getattr(self, name)}" for name in self.made)
            raise DataError(
                f"{where}: [data.split] with {asked} leaves none of the {samples} samples to train on; ask for less."
            )
        return sizes["validation"], sizes["test"]

    def by_file(self, where: str, names: Sequence[str], lengths: Sequence[int]) -> dict[str, Array]:
        """The numbers of the samples of each split, rising: those of the files that the split's patterns name.

        Files that no pattern names are told of, or are for training if there are no patterns for that.

        Arguments:
            where: named in errors.
            names: of the files, in the order of their samples.
            lengths: how many samples each has.

        Raises:
            DataError: if a pattern names no file, or a file is in two splits.
        """
        split_of: dict[int, str] = {}
        for split, patterns in self.files.items():
            for pattern in patterns:
                found = [k for k, name in enumerate(names) if PurePath(name).match(pattern)]
                if not found:
                    bare = [PurePath(name).name for name in names]
                    raise DataError(
                        f"{where}: data.split.{split} names {pattern!r}, but none of the {len(names)} files has such a "
                        f"name{nearest(pattern, bare)}; the first is {names[0]}."
                    )
                for k in found:
                    if split_of.setdefault(k, split) != split:
                        raise DataError(
                            f"{where}: by [data.split], {names[k]} is for {split_of[k]} and for {split} ({pattern!r}); "
                            f"each file can be for one only."
                        )
        rest = [k for k in range(len(names)) if k not in split_of]
        if rest and self.files.get("train"):
            more = f" and {len(rest) - 1} more" if len(rest) > 1 else ""
            complain(f"distnn: warning: {where}: no list in [data.split] names {names[rest[0]]}{more}; left out.")
        elif not rest and not self.files.get("train"):
            raise DataError(f"{where}: [data.split] leaves no file to train on: all are for {' or '.join(self.made)}.")
        else:
            split_of |= dict.fromkeys(rest, "train")
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)
        return {
            split: np.concatenate([np.arange(starts[k], starts[k + 1]) for k in range(len(names)) if k in chosen])
            for split in ("train", *CUT_OFF)
            if (chosen := {k for k, its in split_of.items() if its == split})
        }


def shuffled(samples: int, seed: int) -> Array:
    """A permutation of 0..samples−1 from a seed, the same under every version of numpy.

    It sorts the raw output of a PCG64 generator, which numpy guarantees never to change; the results of `Generator`'s
    methods may change (NEP 19).
    """
    return np.argsort(np.random.PCG64(seed).random_raw(samples), kind="stable")


def stratified(labels: Array, validation: int, test: int, seed: int) -> dict[str, Array]:
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


def _evenly(length: int, count: int) -> Array:
    """(length,) flags, of which ``count`` are set, evenly spaced."""
    steps = np.arange(length + 1, dtype=np.int64) * count // max(length, 1)
    return np.diff(steps) > 0


def _rising(parts: Mapping[str, Array]) -> dict[str, Array]:
    return {name: np.sort(part) for name, part in parts.items()}


def _nearest_sum(order: Iterable[int], lengths: Array, wanted: int) -> list[int]:
    """Of these, in order, each that brings the sum of lengths nearer to the wanted one."""
    taken, total = [], 0
    for k in order:
        if abs(total + int(lengths[k]) - wanted) < abs(total - wanted):
            taken.append(k)
            total += int(lengths[k])
    return taken


def _check_groups(where: str, name: str, groups: Array, samples: int) -> None:
    """Refuse what isn't a group for each sample."""
    if groups.shape != (samples,):
        raise DataError(
            f"{where}: data.split.group = {name!r} has the shape {groups.shape}; expected ({samples},): a group for "
            f"each of the {samples} samples, in their order."
        )
    texts = groups.dtype.kind == "O" and all(isinstance(each, str | bytes) for each in groups)
    if groups.dtype.kind not in "biuSU" and not texts:
        raise DataError(
            f"{where}: data.split.group = {name!r} has the type {groups.dtype}; expected integers or texts, such as "
            f"the number or the name of the patient that each sample is of."
        )
