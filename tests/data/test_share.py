"""Ranks that read parts of blocks for each other have the samples that one has alone, whatever becomes of some."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distnn.data import DataFile
from distnn.data import share as sharing
from distnn.data.loader import Loader
from distnn.data.order import Buffered, Order, groups, shuffled, side_by_side, stored
from distnn.data.partition import Range
from distnn.data.share import BLOCKS, CLOSED, HEAD, PROCESS, VERSION, BlockKey, Share, room, unit
from distnn.data.stream import Stream
from distnn.errors import DataError

SAMPLES = 200
X = np.random.default_rng(0).integers(0, 256, (SAMPLES, 3, 4), np.uint8)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFile]:
    """Chunks of 16, deflated."""
    with DataFile(made(tmp_path_factory.mktemp("data") / "a.h5")) as opened:
        yield opened


def made(path: Path) -> Path:
    with h5py.File(path, "w") as raw:
        raw.attrs["task"] = "regression"
        raw.create_dataset("train/x", data=X, chunks=(16, 3, 4), compression="gzip")
        raw["train/y"] = np.arange(SAMPLES) / 7
        raw["train/weight"] = 1 + np.arange(SAMPLES) % 3
    return path


def order_of(kind: str, block: int) -> Order:
    match kind:
        case "stored":
            return stored(SAMPLES, block)
        case "shuffled":
            return shuffled(SAMPLES, block)
        case "streams":
            return side_by_side(SAMPLES, 7, block)
        case _:
            return Buffered(groups(SAMPLES, 16, 12, block, 400), block)


class Node:
    """Ranks in threads of this process; each row of a dataset that is read from the file is counted."""

    def __init__(self, file: DataFile, ranks: int, together: int = 16, size: int = 1 << 16) -> None:
        self.file = file
        self.heads, self.rooms = np.zeros((ranks, HEAD), np.int64), np.zeros((ranks, BLOCKS * size), np.uint8)
        self.shares = [Share(self.heads, self.rooms, rank, together) for rank in range(ranks)]
        self.read, self._lock = [0] * ranks, threading.Lock()
        self.step: Any = None  #: where ranks meet after each step

    def stream(self, rank: int, order: Order) -> Stream:
        stream = Stream(self.file, "train", None, order, share=self.shares[rank])
        reading = stream._file.read_into

        def counted(split: str, start: int, arrays: Any, **options: Any) -> None:
            with self._lock:
                self.read[rank] += len(arrays["x"])
            reading(split, start, arrays, **options)

        stream._file.read_into = counted  # type: ignore[method-assign]
        return stream

    def everything(self, rank: int, order: Order, epochs: int = 1, step: int = 23) -> list[np.ndarray]:
        """What one rank gets, which needs all samples."""
        found = []
        with closing(self.stream(rank, order)) as stream:
            for epoch in range(epochs):
                stream.begin(5, epoch)
                for at in range(0, SAMPLES, step):
                    found.append(filled(stream, Range(at, min(at + step, SAMPLES))))
                    if self.step:
                        self.step.wait(60)
        return found

    def all_ranks(self, order: Callable[[], Order], epochs: int = 1) -> list[list[np.ndarray]]:
        """What each gets of a training, in whose steps they wait for each other."""
        self.step = threading.Barrier(len(self.heads))
        with ThreadPoolExecutor(len(self.heads)) as threads:
            return [*threads.map(lambda rank: self.everything(rank, order(), epochs), range(len(self.heads)))]


def filled(source: Any, positions: Range) -> np.ndarray:
    n = positions.length
    arrays = {"x": np.empty((n, 3, 4), np.float32), "y": np.empty(n), "weight": np.empty(n)}
    source.fill(positions, arrays)
    return np.concatenate([each.reshape(n, -1) for each in arrays.values()], axis=1)


def expected(file: DataFile, order: Order, epochs: int = 1, step: int = 23) -> list[np.ndarray]:
    memory, found = Loader.read(file, "train", Range(0, SAMPLES), order), []
    for epoch in range(epochs):
        memory.begin(5, epoch)
        found += [filled(memory, Range(at, min(at + step, SAMPLES))) for at in range(0, SAMPLES, step)]
    return found


def check(found: list[np.ndarray], right: list[np.ndarray]) -> None:
    for one, other in zip(found, right, strict=True):
        np.testing.assert_array_equal(one, other)


@given(
    st.sampled_from(["stored", "shuffled", "streams", "buffered"]),
    st.integers(1, 4),
    st.integers(10, SAMPLES),
    st.integers(5, 40),
)
@settings(max_examples=12, deadline=None)
def test_it_is_as_from_memory(file: DataFile, kind: str, ranks: int, block: int, together: int) -> None:
    node = Node(file, ranks, together)
    right = expected(file, order_of(kind, block), 2)
    for found in node.all_ranks(lambda: order_of(kind, block), 2):
        check(found, right)
    assert 2 * SAMPLES <= sum(node.read) < 2 * SAMPLES * ranks + (ranks == 1)


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("kind", ["stored", "shuffled", "streams", "buffered"])
def test_each_sample_is_read_once_by_all_ranks_together(kind: str, ranks: int, file: DataFile) -> None:
    node = Node(file, ranks)
    for found in node.all_ranks(lambda: order_of(kind, 96), 2):
        check(found, expected(file, order_of(kind, 96), 2))
    assert sum(node.read) == 2 * SAMPLES and min(node.read) > 2 * SAMPLES / (ranks + 2)


def test_one_that_has_no_room_is_not_waited_for(file: DataFile) -> None:
    node = Node(file, 2, 16, 64)
    for found in node.all_ranks(lambda: stored(SAMPLES, 50)):
        check(found, expected(file, stored(SAMPLES, 50)))
    assert sum(node.read) == 2 * SAMPLES


@pytest.mark.parametrize("what", ["never there", "dead", "closed", "dead while it reads"])
def test_the_others_do_not_need_one(what: str, file: DataFile, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(file, 3)
    if what == "never there":
        monkeypatch.setattr(sharing, "COMING", 0.05)
    elif what == "closed":
        node.heads[1, CLOSED] = 1
    else:
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        node.heads[1, PROCESS] = gone.pid
        if what == "dead while it reads":
            node.heads[1, 2:6] = [7, 5, 0, 0]
    with ThreadPoolExecutor(2) as threads:
        for found in threads.map(lambda rank: node.everything(rank, stored(SAMPLES, 50)), (0, 2)):
            check(found, expected(file, stored(SAMPLES, 50)))
    assert not node.read[1]


def test_what_is_overwritten_while_it_is_copied_is_not_taken(file: DataFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it may be where a rank stood still for long."""
    node = Node(file, 2)
    one = node.shares[0]
    looked = one._found

    def found(rank: int, key: BlockKey, head: Any, ended: threading.Event) -> bool:
        there = looked(rank, key, head, ended)

        def ordered() -> None:
            head[VERSION] += 2  # the other has gone on in the meantime

        monkeypatch.setattr(one, "_ordered", ordered)
        return there

    monkeypatch.setattr(one, "_found", found)
    for each in node.all_ranks(lambda: stored(SAMPLES, 50)):
        check(each, expected(file, stored(SAMPLES, 50)))
    assert node.read[0] == SAMPLES


def test_bad_samples_are_told_alike_by_all(tmp_path: Path) -> None:
    path = made(tmp_path / "bad.h5")
    with h5py.File(path, "r+") as raw:
        raw["train/y"][[70, 90]] = np.nan
    with DataFile(path) as file:
        node = Node(file, 2)

        def failing(rank: int) -> str:
            with pytest.raises(DataError) as error:
                node.everything(rank, stored(SAMPLES, 100))
            return str(error.value)

        with ThreadPoolExecutor(2) as threads:
            messages = {*threads.map(failing, range(2))}
    assert len(messages) == 1 and "train/y[70]" in messages.pop()


def test_who_stops_does_not_wait(file: DataFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a block that was being read ahead; nor does who goes back."""
    monkeypatch.setattr(sharing, "COMING", 600)
    node, order = Node(file, 2), stored(SAMPLES, 50)
    other = node.stream(1, stored(SAMPLES, 50))
    right = expected(file, order)
    with closing(node.stream(0, order)) as stream, closing(other):
        for each in (stream, other):
            each.begin(5, 0)
        with ThreadPoolExecutor(1) as threads:
            ahead = threads.submit(filled, other, Range(0, 23))
            np.testing.assert_array_equal(filled(stream, Range(0, 23)), right[0])
            np.testing.assert_array_equal(ahead.result(), right[0])
            stream.begin(5, 0)
            np.testing.assert_array_equal(filled(stream, Range(23, 46)), right[1])


@pytest.mark.parametrize("ranks", [1, 2, 7, 64])
@pytest.mark.parametrize("together", [1, 16, 5000])
@pytest.mark.parametrize("longest", [1, 100, 65536])
def test_every_rank_has_a_share_of_whole_chunks(ranks: int, together: int, longest: int) -> None:
    for threads in (1, 8):
        size = unit(longest, together, ranks, threads)
        assert size % together == 0 and size <= together * threads
        assert size == together or longest >= sharing.FAIR * ranks * size
        assert 0 < room(longest, size, ranks) <= longest
