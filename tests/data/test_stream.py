"""Data that stay in their file come as from memory, whatever the order, the blocks, and where one begins."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distnn.data import DataFile, write_data
from distnn.data.augment import Augmentation
from distnn.data.loader import Loader
from distnn.data.order import Buffered, Order, groups, shuffled, side_by_side, stored
from distnn.data.partition import Range, batch, batches, micro_shards
from distnn.data.stream import Stream, block_length
from distnn.errors import DataError
from tests.support.thorough import times

SAMPLES = 230


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFile]:
    """Small images in chunks of 17."""
    path = tmp_path_factory.mktemp("data") / "images.h5"
    x = np.random.default_rng(0).integers(0, 256, (SAMPLES, 3, 3), np.uint8)
    y = np.arange(SAMPLES) % 7
    write_data(path, {"train": (x, y)}, task="classification", classes=list("abcdefg"))
    with h5py.File(path, "r+") as raw:
        del raw["train/x"]
        raw.create_dataset("train/x", data=x, chunks=(17, 3, 3))
    with DataFile(path) as opened:
        yield opened


def orders(draw: st.DrawFn, samples: int) -> tuple[Order, Order]:
    """The same order twice: in memory, and in blocks."""
    block = draw(st.integers(1, 80), label="block")
    match draw(st.sampled_from(["stored", "shuffled", "streams", "buffered"]), label="order"):
        case "stored":
            return stored(samples), stored(samples, block)
        case "shuffled":
            return shuffled(samples), shuffled(samples, block)
        case "streams":
            streams = draw(st.integers(1, 9), label="streams")
            return side_by_side(samples, streams), side_by_side(samples, streams, block)
        case _:
            edges = groups(samples, 17, 9, block, draw(st.integers(1, 1000), label="bytes"))
            return Buffered(edges, block), Buffered(edges, block)


@given(st.data())
@settings(max_examples=times(50, 150), deadline=None)
def test_they_come_as_from_memory(file: DataFile, data: st.DataObject) -> None:
    """On any rank of any number, of any batches and micro-shards, from any batch on, and going back at times."""
    first = data.draw(st.integers(0, 60), label="first sample")
    piece = Range(first, data.draw(st.integers(first + 1, SAMPLES), label="last"))
    one, other = orders(data.draw, piece.length)
    memory, stream = Loader.read(file, "train", piece, one), Stream(file, "train", piece, other)
    size, shards = data.draw(st.integers(1, 60), label="batch"), data.draw(st.integers(1, 6), label="shards")
    ranks = data.draw(st.integers(1, 4), label="ranks")
    rank = data.draw(st.integers(0, ranks - 1), label="rank")
    try:
        for epoch in range(2):
            count = batches(piece.length, size)
            start = data.draw(st.integers(0, count - 1), label="resumed at batch")
            memory.begin(3, epoch)
            stream.begin(3, epoch)
            for index in range(start, count):
                for again in range(1 + data.draw(st.booleans(), label="computed again")):
                    for _, positions in micro_shards(batch(piece.length, size, index), shards, ranks, rank):
                        found = [np.full((positions.length, 3, 3), again + 7.0, np.float32) for _ in range(2)]
                        labels = [np.full(positions.length, -1) for _ in range(2)]
                        memory.fill(positions, {"x": found[0], "y": labels[0]})
                        stream.fill(positions, {"x": found[1], "y": labels[1]})
                        np.testing.assert_array_equal(*found)
                        np.testing.assert_array_equal(*labels)
    finally:
        stream.close()


def test_a_changed_sample_is_changed_alike(file: DataFile) -> None:
    changes = [Augmentation(SAMPLES, (3, 3), flip=True, shift=1) for _ in range(2)]
    memory = Loader(file.read_fields("train"), file.scale, changes[0], shuffled(SAMPLES))
    stream = Stream(file, "train", None, shuffled(SAMPLES, 50), changes[1])
    found = [np.empty((40, 3, 3), np.float32) for _ in range(2)]
    for source, x in zip((memory, stream), found, strict=True):
        source.begin(1, 4)
        source.fill(Range(30, 70), {"x": x})
    stream.close()
    np.testing.assert_array_equal(*found)


def test_the_next_block_is_read_meanwhile_and_no_more(file: DataFile) -> None:
    stream = Stream(file, "train", order=stored(SAMPLES, 20))
    read, reading = [], stream._read

    def watched(number: int, slot: object) -> object:
        read.append(number)
        return reading(number, slot)  # type: ignore[arg-type]

    stream._read = watched  # type: ignore[method-assign, assignment]
    x, y = np.empty((10, 3, 3), np.float32), np.empty(10, int)
    stream.fill(Range(60, 70), {"x": x, "y": y})
    _until(lambda: len(read) == 2)
    time.sleep(0.05)
    assert read == [3, 4], "it begins with the block that is asked for"
    stream.fill(Range(80, 90), {"x": x, "y": y})
    _until(lambda: len(read) == 3)
    assert read == [3, 4, 5]
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("distnn data")]


def _until(condition: object) -> None:
    deadline = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_errors_in_the_file_are_reported_where_it_is_used(tmp_path: Path) -> None:
    x, y = np.zeros((100, 4), np.float32), np.zeros(100)
    path = write_data(tmp_path / "d.h5", {"train": (x, y)}, task="regression")
    with h5py.File(path, "r+") as raw:
        raw["train/x"][57, 2] = np.nan
    with DataFile(path) as file:
        stream = Stream(file, "train", order=stored(100, 25))
        found = np.empty((50, 4), np.float32)
        stream.fill(Range(0, 50), {"x": found})
        for _ in range(2):
            with pytest.raises(DataError, match=r"d\.h5.*train/x.*57"):
                stream.fill(Range(50, 75), {"x": found[:25]})
        stream.close()


def test_a_block_is_a_few_megabytes(file: DataFile) -> None:
    assert block_length(file, "train") == 4 * 1024 * 1024 // 9
