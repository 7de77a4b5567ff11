"""Fitting a run's transforms, by all ranks together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distnn.arrays import Array
from distnn.data.file.reading import DataFile
from distnn.data.loader import Loader
from distnn.data.partition import Range, part
from distnn.data.source import Source
from distnn.data.stream import block_length
from distnn.data.transforms.exploration import pieces
from distnn.data.transforms.fit import explore, merged, without
from distnn.errors import DataError
from distnn.parallel.world import World


def fit(file: DataFile, source: Source, world: World) -> None:
    """Fit what is to be fitted of the file's transforms, with the same bits on any number of ranks.

    Each pass of one transform of each field reads the training samples once, from memory if they are there: each rank
    a part of the pieces into which they are cut. Rank 0 merges what was found in them, in the order of the pieces.

    Raises:
        DataError: on every rank, for values that a transform can't take.
        UsageError: on every rank, if one can't be fitted.
    """
    comm, length, where = world.comm, block_length(file, "train"), f"{file.path}: train/"

    def read(block: Range) -> Mapping[str, Array]:
        if isinstance(source, Loader):
            rows = {name: array[slice(*block)] for name, array in source.fields.items()}
        else:
            rows = file.read_fields("train", *block)
        for name in rows.keys() & {"weight", "mask"} if file.chains.get("y") else ():
            rows["y"] = without(rows["y"], rows[name])
        return rows

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
