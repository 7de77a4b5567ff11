"""Where samples come from: what gives them to a plan's input arrays, in an order that the seed and the epoch decide."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from distnn.arrays import Array
from distnn.data.augment import Augmentation
from distnn.data.order import Order
from distnn.data.partition import Range
from distnn.data.transforms import RefusedError, refuse
from distnn.data.transforms.chain import Chain
from distnn.data.transforms.chains import Chains
from distnn.data.transforms.fit import refused, without
from distnn.errors import DataError


class SampleBlock(NamedTuple):
    """Samples of some positions of an epoch that follow each other.

    Attributes:
        number: of the block in the epoch's order.
        samples: which samples of the split they are, position by position.
        rows: where in the fields' arrays they are.
        fields: by name, arrays that hold them.
    """

    number: int
    samples: Array
    rows: Array
    fields: Mapping[str, Array]


class Source(ABC):
    """Gives the samples of a split, or of a piece of it: copies them from blocks of an order, whatever holds these.

    Integers stay as compact as they are stored, and are converted and scaled on the way: x_float = scale · x_int.

    Arguments:
        order: of the samples in an epoch.
        scale: the factor for integers; None leaves the numbers as they are.
        augmentation: changes the samples at random on their way.
        chains: the transforms of fields; they begin with the stored numbers, which are scaled first, and come before
            the augmentation: what each pixel was fitted to belongs to its place in the image as it is stored, and where
            an image is moved, it is filled up with the 0 of transformed numbers.

    Attributes:
        origin: the file and the split that the samples are of, and the number of the first of them there.
    """

    origin: tuple[str, int] = ("", 0)

    def __init__(
        self, order: Order, scale: float | None, augmentation: Augmentation | None, chains: Chains | None = None
    ) -> None:
        self.order, self.scale, self.augmentation, self._chains = order, scale, augmentation, chains
        self._staging: dict[str, Array] = {}
        self._index = np.empty(0, np.intp)
        self._block: SampleBlock | None = None
        self.begin(0, 0)

    def __len__(self) -> int:
        return self.order.samples

    def begin(self, seed: int, epoch: int) -> None:
        """Draw the order of ``epoch``, from 0, and the changes of its samples."""
        self.order.begin(seed, epoch)
        self._block = None
        if self.augmentation is not None:
            self.augmentation.draw(seed, epoch)

    @abstractmethod
    def close(self) -> None:
        """Let go of what isn't memory."""

    @abstractmethod
    def _load(self, number: int) -> SampleBlock:
        """The block of this number in the epoch."""

    def numbers(self, positions: Range) -> Array:
        """Which samples of the split are at these positions of the epoch's order; good until the next call."""
        for _ in self._blocks(positions):
            pass
        return self._index[: positions.length]

    def fill(self, positions: Range, arrays: Mapping[str, Array], *, stored: bool = False) -> None:
        """Write fields of the samples at these positions of the epoch's order into arrays, without allocating.

        An array for ``weight`` gets the weights of the samples or of their targets, 0 where a mask leaves them out, and
        1 where there is neither; targets whose weight is 0, which may be missing, become 0.

        Arguments:
            arrays: by field.
            stored: as they are in the file, but for the type.

        Raises:
            DataError: if they are read from a file that can't be read, or holds what it shouldn't, or if there are
                numbers that the arrays' type doesn't hold.
        """
        for block, rows, place in self._blocks(positions):
            if "weight" in arrays:
                self._weigh(block.fields, rows, arrays["weight"][place], place)
            for name, array in arrays.items():
                chain = None if stored or self._chains is None else self._chains.get(name)
                if chain is not None:
                    weights = arrays["weight"][place] if name == "y" and "weight" in arrays else None
                    self._transform(chain, self._staged(block.fields[name], rows, name), array[place], weights, place)
                elif name != "weight":
                    self._gather(block.fields[name], rows, array[place], name, place)
        if "weight" in arrays:
            self._check("weight", arrays["weight"], slice(0, positions.length), "a weight")
            if "y" in arrays:
                self._leave_out(arrays["weight"], arrays["y"])
        if stored or "x" not in arrays:
            return
        x = arrays["x"]
        if self.scale is not None and not (self._chains and self._chains.get("x")):
            with np.errstate(over="ignore", invalid="ignore"):
                np.multiply(x, self.scale, out=x)
            if self.scale > 1:
                self._check("x", x, slice(0, positions.length), f"scaled by {self.scale:g}")
        if self.augmentation is not None:
            self.augmentation.apply(x, self._index[: positions.length])
            for name, other in self.augmentation.along.items():
                if name in arrays:
                    other.apply(arrays[name], self._index[: positions.length])

    def _blocks(self, positions: Range) -> Iterator[tuple[SampleBlock, Array, slice]]:
        """The blocks at these positions, with the rows of each, and which of the positions they are."""
        if len(self._index) < positions.length:
            self._index = np.empty(positions.length, np.intp)
        start = 0
        for number, within in self.order.sections(positions):
            if self._block is None or self._block.number != number:
                self._block = self._load(number)
            inside, place = slice(*within), slice(start, start + within.length)
            np.copyto(self._index[place], self._block.samples[inside])
            yield self._block, self._block.rows[inside], place
            start = place.stop

    def _gather(self, source: Array, rows: Array, target: Array, name: str, place: slice) -> None:
        if source.dtype == target.dtype:
            # "raise" would copy through a buffer; positions are right by construction
            source.take(rows, axis=0, out=target, mode="clip")
            return
        staging = self._staged(source, rows, name)
        with np.errstate(over="ignore"):
            np.copyto(target, staging, casting="unsafe")
        if source.dtype.kind == target.dtype.kind == "f" and source.itemsize > target.itemsize:
            self._check(name, target, place, staging)

    def _staged(self, source: Array, rows: Array, name: str) -> Array:
        """Rows of a field as they are stored; good until the next call for this field."""
        if name not in self._staging or len(self._staging[name]) < len(rows):
            self._staging[name] = np.empty((len(rows), *source.shape[1:]), source.dtype)
        staging = self._staging[name][: len(rows)]
        source.take(rows, axis=0, out=staging, mode="clip")
        return staging

    def _transform(self, chain: Chain, values: Array, target: Array, weights: Array | None, place: slice) -> None:
        """Write transformed values; those that have no weight may be anything."""
        if weights is not None:
            values = without(values, weights)
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                chain.apply(values, target)
            if target.size and not np.isfinite([target.min(), target.max()]).all():
                bad = ~np.isfinite(target) & (True if weights is None else ~np.isnan(values))
                refuse(bad, target, "is {value} after its transforms; correct it, or fill or clip it")
        except RefusedError as error:
            sample = self.origin[1] + int(self._index[place][error.at[0]])
            raise refused(f"{self.origin[0]}{chain.field}", sample, error) from None

    def inverted(self, field: str, values: Array) -> Array:
        """Values (n, …) in the field's own units, in float64, if it has transforms that can be undone; or they."""
        chain = self._chains.get(field) if self._chains else None
        return values if chain is None or chain.labels is not None else chain.inverted(values)

    def stored_shape(self, field: str) -> tuple[int, ...] | None:
        """Of a sample in the file, if the field has transforms that can be undone; else None."""
        chain = self._chains.get(field) if self._chains else None
        return None if chain is None or chain.labels is not None else chain.stored

    def _weigh(self, fields: Mapping[str, Array], rows: Array, target: Array, place: slice) -> None:
        """Write the product of what weights there are, of which none may become 0 that isn't."""
        target.fill(1)
        by_sample = target.reshape(len(rows), -1)
        for name in ("weight", "mask"):
            if name in fields:
                given = self._staged(fields[name], rows, name).reshape(len(rows), -1)
                with np.errstate(over="ignore"):
                    np.multiply(by_sample, given, out=by_sample, casting="unsafe")
                if name == "weight" and given.itemsize > by_sample.itemsize:
                    self._see_small(given, by_sample, place)

    def _see_small(self, given: Array, weights: Array, place: slice) -> None:
        """Refuse weights that have become 0 in the type of ``weights``, which would leave their targets out."""
        if np.count_nonzero(given) * (weights.shape[1] // given.shape[1]) == np.count_nonzero(weights):
            return
        sample, inside = np.argwhere((given != 0) & (weights == 0))[0]
        number, value = self.origin[1] + self._index[place][sample], given[sample, inside % given.shape[1]]
        raise DataError(
            f"{self.origin[0]}weight[{number}] holds {value}, which is 0 in {weights.dtype}. Multiply all weights by "
            f'one factor, or set train.dtype = "float64".'
        )

    def _leave_out(self, weights: Array, y: Array) -> None:
        """Write 0 to the targets that don't count, whatever they are."""
        if "left out" not in self._staging or len(self._staging["left out"]) < len(weights):
            self._staging["left out"] = np.empty(weights.shape, np.bool_)
        nothing = self._staging["left out"][: len(weights)]
        np.equal(weights, 0, out=nothing)
        np.copyto(y.reshape(len(y), -1), 0, where=nothing.reshape(len(y), -1))

    def _check(self, name: str, values: Array, place: slice, before: Array | str) -> None:
        """Refuse numbers that have become infinite in the type of ``values``; ``before`` are they, or says how."""
        if not values.size or np.isfinite([values.min(), values.max()]).all():
            return
        bad = ~np.isfinite(values) & (True if isinstance(before, str) else np.isfinite(before))
        if not bad.any():
            return  # they were infinite
        at = tuple(np.argwhere(bad)[0])
        where = ", ".join(map(str, (self.origin[1] + self._index[place][at[0]], *at[1:])))
        what = before if isinstance(before, str) else before[at]
        raise DataError(
            f"{self.origin[0]}{name}[{where}] is {what}, which is too large for {values.dtype}: expected less than "
            f'{np.finfo(values.dtype).max:.1e}. Correct or scale it, or set train.dtype = "float64".'
        )
