"""Samples from memory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from distnn.arrays import Array
from distnn.data.augment import Augmentation
from distnn.data.file.reading import DataFile
from distnn.data.order import Order, stored
from distnn.data.partition import Range
from distnn.data.source import SampleBlock, Source
from distnn.data.transforms.chains import Chains
from distnn.errors import DataError


class Loader(Source):
    """A `Source` that has its samples in memory.

    Arguments:
        fields: arrays by name, such as x, samples (N, …) of any integer or float type, and y, targets (N,) or (N, …).
        scale, augmentation: as of a `Source`.
        order: of the samples in an epoch; as they are stored if None.
        chains: as of a `Source`.

    Raises:
        DataError: if they differ in length.
    """

    def __init__(
        self,
        fields: Mapping[str, Array],
        scale: float | None = None,
        augmentation: Augmentation | None = None,
        order: Order | None = None,
        chains: Chains | None = None,
    ) -> None:
        self.fields = {name: np.ascontiguousarray(array) for name, array in fields.items()}
        samples = len(self.fields["x"])
        for name, array in self.fields.items():
            if len(array) != samples:
                raise DataError(f"x holds {samples} samples and {name} {len(array)}; they must be equal.")
        self._samples = np.empty(samples, np.intp)
        super().__init__(order or stored(samples), scale, augmentation, chains)

    @classmethod
    def read(cls, file: DataFile, split: str, piece: Range | None = None, order: Order | None = None) -> Loader:
        """The loader of a file's split, or of the piece of it at these positions.

        Raises:
            DataError: as `DataFile.read` does.
        """
        start, stop = piece or Range(0, file.count(split))
        loader = cls(file.read_fields(split, start, stop), file.scale, order=order, chains=file.chains)
        loader.origin = (f"{file.path}: {split}/", start)
        return loader

    def close(self) -> None:
        """There is nothing but memory."""

    def _load(self, number: int) -> SampleBlock:
        samples = self.order.numbers(number, self._samples)
        return SampleBlock(number, samples, samples, self.fields)
