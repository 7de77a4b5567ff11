"""The samples as a run file wants them: in memory or read as they are needed, and in which order."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from distnn import runtime
from distnn.arrays import Array
from distnn.config import RunSettings
from distnn.config.sections import DataSettings
from distnn.data.augment import Augmentation
from distnn.data.file.reading import READ_BYTES, DataFile
from distnn.data.file.slabs import LARGEST
from distnn.data.loader import Loader
from distnn.data.order import Buffered, Order, groups, shuffled, side_by_side, stored
from distnn.data.partition import Range, batches, part
from distnn.data.share import ALIGNED, BLOCKS, HEAD, Share, room, unit
from distnn.data.source import Source
from distnn.data.stream import Stream, block_length, slabs_of, unpacked_together
from distnn.errors import DataError, SharedMemoryError
from distnn.parallel.agreement import agree
from distnn.parallel.available import available
from distnn.parallel.communicator import Communicator
from distnn.parallel.memory import NodeMemory
from distnn.parameters import Memory, PrivateMemory

#: The share of a node's free memory that data may take; the rest is for everything else.
SHARE = 0.5
#: At least so many bytes of samples that follow each other are read by one rank for the others.
SHARED_BYTES = 256 * 1024
#: How many samples each sum of them is over, by which nodes compare what they hold.
SUMMED = 256


def agree_on(file: DataFile, comm: Communicator, **more: Any) -> dict[str, Any]:
    """Compare the ranks' data files, as far as `DataFile.identity` goes, and ``more`` with it; the former.

    Raises:
        DataError: the file is damaged.
        UsageError: on every rank, if they have different ones.
    """
    # On a node one rank reads for all those that have opened the very same files.
    node = comm.node()
    stamps, identity = node.on_root(lambda: (file.stamps, file.identity()))
    if stamps != file.stamps:
        identity = file.identity()
    agree(comm, {f"{file.path}: {name}": fact for name, fact in identity.items()} | more)
    return identity


def training_source(
    file: DataFile, order: Order, comm: Communicator, augmentation: Augmentation | None = None, *, in_memory: bool
) -> Source:
    """What gives the training samples to every rank, once for each node, of whose ranks each reads a part.

    Raises:
        DataError: if they are bad, as far as they are read now; on every rank of the node.
        UsageError: on every rank, if nodes hold different ones.
    """
    if not in_memory:
        return Stream(file, "train", None, order, augmentation, _share(file, order, comm))
    node = comm.node()
    try:
        arrays = _arrays(file, NodeMemory(node) if node.size > 1 else PrivateMemory())
    except SharedMemoryError:  # on every rank of the node alike: each has all of them, then
        node = Communicator()
        arrays = _arrays(file, PrivateMemory())
    _load(file, arrays, comm, node)
    for name in ("weight", "mask"):
        if name in arrays and not arrays[name].any():
            raise DataError(
                f"{file.path}: train/{name} is 0 everywhere, so nothing would be learned; expected it to be above 0 "
                f"where a sample or target counts."
            )
    if len(comm.nodes) > 1:
        agree(comm, {"the training samples, all of them, have the sum": _sum(arrays, node)})
    loader = Loader(arrays, file.scale, augmentation, order, file.chains)
    loader.origin = (f"{file.path}: train/", 0)
    return loader


def _share(file: DataFile, order: Order, comm: Communicator) -> Share | None:
    """What the ranks of this node read for each other; None where each reads all, for it is alone, or lacks memory."""
    node, row = comm.node(), sum(form.dtype.itemsize * math.prod(form.shape) for form in file.forms("train").values())
    chunk = file.chunk("train")
    together = chunk * max(1, SHARED_BYTES // (chunk * row))
    size = unit(order.longest, together, node.size, min(node.allgather(runtime.cores())))
    needed = BLOCKS * (room(order.longest, size, node.size) * row + ALIGNED * len(file.fields))
    if not roomy(needed * node.size if node.size > 1 else 0, comm) or node.size == 1:
        return None
    memory = NodeMemory(node)
    try:
        memory.each(HEAD, np.dtype(np.int64))
        memory.each(needed, np.dtype(np.uint8))
    except SharedMemoryError:
        return None
    heads, rooms = memory.rows
    return Share(heads, rooms, node.rank, size)


def _arrays(file: DataFile, memory: Memory) -> dict[str, Array]:
    """Arrays for the fields of all of the training samples."""
    arrays = {}
    for name, form in file.forms("train").items():
        shape = file.count("train"), *form.shape
        arrays[name] = memory.one(math.prod(shape), form.dtype).reshape(shape)
    return arrays


def _load(file: DataFile, arrays: Mapping[str, Array], comm: Communicator, node: Communicator) -> None:
    """Read this rank's part of what its node needs; where it can be, by all ranks of all nodes together.

    Raises:
        DataError: on every rank of the node if one finds bad samples; if they read together on that one alone, as the
            others are waiting for it in HDF5, and its leaving the run ends them.
    """
    samples, step, reason = file.count("train"), unpacked_together(file, "train"), ""
    pieces = part(batches(samples, step), node.size, node.rank)  # no chunk is unpacked by two ranks
    mine = Range(min(pieces.start * step, samples), min(pieces.stop * step, samples))
    length = max(1, block_length(file, "train") // step) * step
    blocks = batches(mine.length, length)
    if file.together:
        blocks = max(comm.allgather(blocks))
    try:
        for k in range(blocks):
            start, stop = (min(mine.start + edge * length, mine.stop) for edge in (k, k + 1))
            rows = {name: array[start:stop] for name, array in arrays.items()}
            file.read_into("train", start, rows, by_all=file.together)
    except DataError as error:
        if file.together:
            raise
        reason = str(error)
    if any(reasons := node.allgather(reason)):
        raise DataError(next(filter(None, reasons)))


def _sum(arrays: Mapping[str, Array], node: Communicator) -> str:
    """A sum that tells a node's samples from others, to which each of its ranks contributes a part.

    It is ``sum_k (k + 1) CRC32(block k)`` modulo 2⁶⁴, whatever rank adds which block: by the factor it depends on the
    order of the blocks.
    """
    blocks = part(batches(len(arrays["x"]), SUMMED), node.size, node.rank)
    mine = 0
    for k in range(blocks.start, blocks.stop):
        code = 0
        for array in arrays.values():
            code = zlib.crc32(array[k * SUMMED : (k + 1) * SUMMED].data, code)
        mine += (k + 1) * code
    return f"{sum(node.allgather(mine)) % 2**64:016x}"


def sample_order(settings: RunSettings, file: DataFile, batch_size: int, *, in_memory: bool) -> Order:
    """The order of the training samples in each epoch, which doesn't depend on where they are.

    As many streams are read side by side as the global batch has samples, if they are. What isn't in memory is cut into
    blocks that are well read at a time.
    """
    data, samples = settings.data, file.count("train")
    block = None if in_memory else block_length(file, "train")
    if data.streams:
        return side_by_side(samples, batch_size, block)
    if not data.shuffle:
        return stored(samples, block)
    if data.shuffle_buffer is None:
        return shuffled(samples, block)
    size = file.sample_bytes("train")
    chunk = min(file.chunk("train"), max(1, LARGEST // size))  # two blocks of a larger one would be too much
    return Buffered(groups(samples, chunk, size, data.shuffle_buffer, READ_BYTES), data.shuffle_buffer)


def fits(settings: DataSettings, file: DataFile, comm: Communicator) -> bool:
    """Whether the data are to be loaded into memory: the same on every rank.

    Raises:
        DataError: if that is left to us, they are too large, and nothing says how to shuffle them then.
    """
    if settings.in_memory != "auto":
        return settings.in_memory
    if roomy(sum(file.bytes(split) for split in file.splits) + unpacking(file), comm):
        return True
    if settings.shuffle and settings.shuffle_buffer is None and not settings.streams:
        raise DataError(
            f"{file.path} is too large for the memory: {file.bytes('train') / 1e9:.1f} GB on each node would take "
            f"more than half of what is free there. Set data.shuffle_buffer, such as 65536: the file is then read "
            f"anew in each epoch, and so many samples are shuffled at a time. Or set data.in_memory: true loads it all "
            f"the same, false shuffles all of it while it is read, which is slow."
        )
    return False


def unpacking(file: DataFile) -> int:
    """The bytes that loading takes besides the samples: chunks, as stored and unpacked, and a slab that is kept."""
    slabs = [each for split in file.splits for each in slabs_of(file, split)]
    return max((2 * each.at_a_time * each.chunk_bytes + min(each.nbytes, LARGEST) for each in slabs), default=0)


def roomy(needed: int, comm: Communicator) -> bool:
    """Whether so many bytes on each node are at most `SHARE` of what is free there: the same on every rank."""
    free = available()
    return all(comm.allgather(free is None or needed <= SHARE * free))
