"""Fitting a run's transforms, by all ranks together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from distnn.arrays import Array
from distnn.data.file.reading import DataFile
from distnn.data.loader import Loader
from distnn.data.look import looked_at
from distnn.data.look import warnings as look
from distnn.data.partition import Range, part
from distnn.data.source import Source
from distnn.data.stream import block_length
from distnn.data.transforms.exploration import pieces
from distnn.data.transforms.fit import explore, merged, without
from distnn.errors import DataError
from distnn.parallel.world import World


def fit_transforms(file: DataFile, source: Source, world: World) -> None:
    """Fit what is to be fitted of the file's transforms, with the same bits on any number of ranks.

    Each pass of one transform of each field reads the training samples once, from memory if they are there: each rank
    a part of the pieces into which they are cut. Rank 0 merges what was found in them, in the order of the pieces.

    Raises:
        DataError: on every rank, for values that a transform can't take, or where classes lack a name.
        UsageError: on every rank, if one can't be fitted.
    """
    comm, length, where = world.comm, block_length(file, "train"), f"{file.path}: train/"

    def read(block: Range) -> Mapping[str, Array]:
        return _stored(file, source, block)

    while chains := file.chains.waiting:
        ranges = pieces([exploration for chain in chains if (exploration := chain.exploration)], file.count("train"))
        found: list[Any] = []
        reason = ""
        world.heartbeat.beat("fitting the transforms")
        try:
            for piece in ranges[slice(*part(len(ranges), comm.size, comm.rank))]:
                found.append(explore(chains, piece, length, read, where))
                world.heartbeat.beat()
        except DataError as error:
            reason = str(error)
        if any(reasons := comm.allgather(reason)):
            raise DataError(next(filter(None, reasons)))
        gathered = comm.gather(found)
        results = comm.bcast(merged(chains, [each for mine in gathered for each in mine]) if gathered else None)
        for chain, result in zip(chains, results, strict=True):
            chain.fit(result)
    file.chains.check_classes(str(file.path), len(file.classes))


def warnings(file: DataFile, source: Source, dtype: str) -> list[str]:
    """What a look at some training samples says of how well a network of this type can learn from them.

    Raises:
        DataError: they can't be read.
    """
    blocks = [_stored(file, source, block) for block in looked_at(file)]
    return look(file, {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}, dtype)


def _stored(file: DataFile, source: Source, block: Range) -> Mapping[str, Array]:
    """Training samples as they are stored; targets without weight are NaN, where they are to be transformed."""
    if isinstance(source, Loader):
        rows = {name: array[slice(*block)] for name, array in source.fields.items()}
    else:
        rows = file.read_fields("train", *block)
    for name in rows.keys() & {"weight", "mask"} if file.task == "regression" or file.chains.get("y") else ():
        rows["y"] = without(rows["y"], rows[name])
    return rows
