"""The training samples as a run file wants them: their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distnn.data.hdf5 import CHUNK_BYTES, DataFile
from distnn.data.order import Buffered, Order, groups, shuffled, side_by_side, stored

if TYPE_CHECKING:
    from distnn.config import RunSettings


def sample_order(settings: RunSettings, file: DataFile, batch_size: int) -> Order:
    """The order of the training samples in each epoch.

    Arguments:
        settings: the run file.
        file: the open data file.
        batch_size: the global one; as many streams are read side by side, if they are.
    """
    data, samples = settings.data, file.count("train")
    if data.streams:
        return side_by_side(samples, batch_size)
    if not data.shuffle:
        return stored(samples)
    if data.shuffle_buffer is None:
        return shuffled(samples)
    chunk, size = file.chunk("train"), file.sample_bytes("train")
    return Buffered(groups(samples, chunk, size, data.shuffle_buffer, CHUNK_BYTES), data.shuffle_buffer)
