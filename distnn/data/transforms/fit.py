"""Fitting transforms: one pass over the training samples for each that has to be, of all fields together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from distnn.arrays import Array
from distnn.data.partition import Range, batches
from distnn.data.transforms.chain import Chain
from distnn.data.transforms.transform import RefusedError
from distnn.errors import DataError

#: Gives the stored values of these samples, by field.
Reader = Callable[[Range], Mapping[str, Array]]


def explore(chains: Sequence[Chain], piece: Range, length: int, read: Reader, where: str) -> list[Any]:
    """What the explorations of the chains' next transforms find in a piece of the training samples.

    It is added up in blocks of ``length`` samples, so its bits depend on the piece and on that.

    Arguments:
        where: what stands before a field's name in an error.

    Raises:
        DataError: for values that a transform can't take.
    """
    explorations = [exploration for chain in chains if (exploration := chain.exploration)]
    results = [exploration.empty() for exploration in explorations]
    buffers = [np.empty((min(length, piece.length), *chain.shape)) for chain in chains]
    for number in range(batches(piece.length, length)):
        start = piece.start + number * length
        block = Range(start, min(start + length, piece.stop))
        rows = read(block)
        for place, (chain, exploration) in enumerate(zip(chains, explorations, strict=True)):
            values = buffers[place][: block.length]
            try:
                chain.apply(rows[chain.field], values)
            except RefusedError as error:
                raise refused(f"{where}{chain.field}", block.start + error.at[0], error) from None
            results[place] = exploration.add(results[place], values)
    return results


def merged(chains: Sequence[Chain], results: Sequence[Sequence[Any]]) -> list[Any]:
    """What all pieces' results come to, in the order of the pieces: for each chain, what its next transform is fitted
    to."""
    explorations = [exploration for chain in chains if (exploration := chain.exploration)]
    return [exploration.merged([each[place] for each in results]) for place, exploration in enumerate(explorations)]


def without(values: Array, weights: Array) -> Array:
    """A copy of values (n, …), in which those are NaN whose weight, (n,) or (n, …), is 0."""
    found = values.astype(np.float64).reshape(len(values), -1)
    np.copyto(found, np.nan, where=weights.reshape(len(weights), -1) == 0)
    return found.reshape(values.shape)


def refused(name: str, sample: int, error: RefusedError) -> DataError:
    """The error for a value of a field that a transform can't take."""
    place = ", ".join(map(str, (sample, *error.at[1:])))
    return DataError(f"{name}[{place}] {error.why}.")
