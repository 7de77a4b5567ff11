"""What is summed over samples: loss, hits, weight, targets, samples, and whatever else a model sums, in one vector.

Sums over shards, ranks, batches and steps are sums of such vectors; means come from the sums alone, at the end. So it
doesn't matter how samples are cut into batches, nor that the last batch is a smaller one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distnn.arrays import Array

#: The sums that every vector begins with, one element each.
FIXED = ("loss", "correct", "weight", "count", "samples")
LOSS, CORRECT, WEIGHT, COUNT, SAMPLES = range(len(FIXED))
#: Further sums of models with weights of samples or targets: of the targets classified right, and of all that count.
WEIGHTED = ("weight of hits", "weight of targets")


class Layout:
    """Where each named sum lies in a vector: those of `FIXED` in their order, then the model's further ones.

    Arguments:
        lengths: by name, the elements of each sum that the model computes; of `FIXED` it need not compute any.
        targets: how many targets a sample has, where the model doesn't compute how many count.
        numbers: how many numbers a target is made of, over which the mean loss is as well.
        in_bits: whether the loss is the code length of a text, which may be reported in bits.

    Attributes:
        further: by name, the slices of the sums that aren't in `FIXED`.
        length: of the vector.
        classifies: whether hits are counted.
        weighted: whether the loss is divided by another number than that of the targets.
    """

    def __init__(
        self, lengths: Mapping[str, int], targets: int = 1, *, numbers: int = 1, in_bits: bool = False
    ) -> None:
        self.targets, self.numbers, self.in_bits = targets, numbers, in_bits
        self.classifies, self.weighted = "correct" in lengths, "weight" in lengths
        self.further: dict[str, slice] = {}
        self.length = len(FIXED)
        for name, length in lengths.items():
            if name not in FIXED:
                self.further[name] = slice(self.length, self.length + length)
                self.length += length
        self._scalars = [(place, name) for place, name in enumerate(FIXED) if name in lengths]

    def zeros(self) -> Sums:
        """Sums over no samples."""
        return Sums(self, np.zeros(self.length))

    def read(self, values: Mapping[str, Array], samples: int, vector: Array) -> None:
        """Write what a model has computed of so many samples to ``vector`` (length,)."""
        vector[COUNT], vector[SAMPLES] = samples * self.targets, samples
        for place, name in self._scalars:
            vector[place] = values[name]
        for name, where in self.further.items():
            vector[where] = values[name].reshape(-1)


@dataclass(eq=False, slots=True)
class Sums:
    """Sums over samples, by name: ``sums["name"]`` for any of them, or by the properties below.

    Attributes:
        layout: where each of them lies.
        vector: all of them, in float64, in which counts are exact up to 2⁵³: (length,).
    """

    layout: Layout
    vector: Array

    def __getitem__(self, name: str) -> Array:
        """A sum that isn't in `FIXED`: a view of the vector."""
        return self.vector[self.layout.further[name]]

    def __iadd__(self, other: Sums) -> Sums:
        np.add(self.vector, other.vector, out=self.vector)
        return self

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.layout, self.vector + other.vector)

    @property
    def loss(self) -> float:
        """Σ of the loss."""
        return float(self.vector[LOSS])

    @property
    def correct(self) -> float | None:
        """How many targets were classified right; None for a regression."""
        return float(self.vector[CORRECT]) if self.layout.classifies else None

    @property
    def weight(self) -> float:
        """What the loss is divided by for its mean: the number of targets that count, or their weight."""
        return float(self.vector[WEIGHT if self.layout.weighted else COUNT])

    @property
    def count(self) -> int:
        """How many targets count."""
        return int(self.vector[COUNT])

    @property
    def samples(self) -> int:
        """How many samples were summed over."""
        return int(self.vector[SAMPLES])

    @property
    def mean_loss(self) -> float:
        """The mean loss over all targets, and over all numbers of each; NaN where none of the samples counts, and 0 of
        no samples.
        """
        return self.loss / self.weight / self.layout.numbers if self.weight else self._nothing

    @property
    def accuracy(self) -> float | None:
        """The share of the targets that were classified right, by their weights if they have some; NaN where none of
        the samples counts, and 0 of no samples; None for a regression.
        """
        if WEIGHTED[0] in self.layout.further:
            hits, targets = (float(self[name][0]) for name in WEIGHTED)
            return hits / targets if targets else self._nothing
        correct = self.correct
        if correct is None:
            return None
        return correct / self.count if self.count else self._nothing

    @property
    def _nothing(self) -> float:
        """The mean of nothing, which is not to be taken for that of a perfect model."""
        return math.nan if self.samples else 0.0

    @property
    def bits(self) -> float | None:
        """The mean loss in bits, loss / ln 2, of a language model; None where the loss isn't in bits."""
        return self.mean_loss / math.log(2) if self.layout.in_bits else None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, and lists of numbers, by name."""
        fixed = dict(zip(FIXED, self.vector.tolist(), strict=False)) | {"weight": self.weight}
        return fixed | {name: self[name].tolist() for name in self.layout.further}

    def load(self, saved: Mapping[str, Any] | Sequence[float]) -> None:
        """Take over `to_dict`, or the bare list of `FIXED` that checkpoints before it hold."""
        by_name = saved if isinstance(saved, Mapping) else dict(zip(FIXED, saved, strict=True))
        for place, name in enumerate(FIXED):
            self.vector[place] = by_name[name]
        for name, where in self.layout.further.items():
            self.vector[where] = by_name.get(name, 0.0)
