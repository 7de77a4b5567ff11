"""Chunks that are unpacked here hold what HDF5 reads of them, bit by bit."""

from __future__ import annotations

import importlib
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn import runtime
from distnn.data.file import unpacking, workers
from distnn.data.file.stored import Stored, Witness
from distnn.data.file.unpacking import CHECKSUM, DEFLATE, FLETCHER32, SHUFFLE, Filters, fletcher32
from distnn.errors import DataError

TYPES = ["u1", "<i2", ">i4", "<u8", "<f8", ">f4", "f2", "?", [("a", "<i2"), ("b", ">f8"), ("c", "u1", (3,))]]
#: The filters in any order; HDF5 itself always has the checksum last.
PIPELINES = [
    [DEFLATE],
    [SHUFFLE, DEFLATE],
    [SHUFFLE, DEFLATE, FLETCHER32],
    [FLETCHER32, DEFLATE],
    [DEFLATE, FLETCHER32, DEFLATE],
    [DEFLATE, SHUFFLE],
    [FLETCHER32, SHUFFLE, DEFLATE, FLETCHER32],
]


def libraries() -> list[ModuleType]:
    """Those that inflate, as far as they are there."""
    try:
        return [zlib, importlib.import_module("isal.isal_zlib")]
    except ImportError:
        return [zlib]


@pytest.fixture(params=libraries(), ids=lambda library: library.__name__)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(unpacking, "inflation", lambda: request.param)
    return request.param  # type: ignore[no-any-return]


def properties_of(pipeline: list[int], chunks: tuple[int, ...]) -> Any:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(chunks)
    for number in pipeline:
        {SHUFFLE: properties.set_shuffle, FLETCHER32: properties.set_fletcher32}.get(
            number, lambda: properties.set_deflate(3)
        )()
    return properties


def packed(content: bytes, pipeline: list[int], skipped: int, size: int) -> bytes:
    """A chunk that has passed all but the skipped filters."""
    for place, number in enumerate(pipeline):
        if skipped >> place & 1:
            continue
        if number == DEFLATE:
            content = zlib.compress(content)
        elif number == FLETCHER32:
            content += fletcher32(np.frombuffer(content, np.uint8)).to_bytes(CHECKSUM, "little")
        else:
            whole = len(content) // size * size
            apart = np.frombuffer(content[:whole], np.uint8).reshape(-1, size).T.tobytes()
            content = apart + content[whole:]
    return content


@st.composite
def files(draw: st.DrawFn) -> Any:
    """A dataset's type, shape, chunks and filters, how single chunks are stored, a seed, and the axis of its rows."""
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)))
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    chunks = tuple(draw(st.integers(1, length)) for length in shape)
    pipeline = draw(st.sampled_from(PIPELINES))
    stored = draw(st.lists(st.sampled_from(["absent", "whole", 0, 1, 2, 3, 6, 7]), min_size=1, max_size=5))
    return dtype, shape, chunks, pipeline, stored, draw(st.integers(0, 99)), draw(st.sampled_from([0, len(shape) - 1]))


def made(path: Path, drawn: Any) -> None:
    dtype, shape, chunks, pipeline, stored, seed, _ = drawn
    random = np.random.default_rng(seed)
    properties = properties_of(pipeline, chunks)
    fill = random.integers(0, 2, dtype.itemsize, np.uint8).view(dtype)
    if dtype.names is None:
        properties.set_fill_value(fill)
    kind = h5py.h5t.py_create(dtype, logical=True)
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple(shape)
        x = h5py.Dataset(h5py.h5d.create(file.id, b"x", kind, space, properties))
        grid = [range(0, *each) for each in zip(shape, chunks, strict=True)]
        for number, offset in enumerate(np.stack(np.meshgrid(*grid, indexing="ij"), -1).reshape(-1, len(shape))):
            how = stored[number % len(stored)]
            if how == "absent":
                continue
            count = int(np.prod(chunks)) * dtype.itemsize
            content = random.integers(0, 2, count, np.uint8).tobytes()  # which booleans can have, too
            skipped = 0 if how == "whole" else how & (1 << len(pipeline)) - 1
            x.id.write_direct_chunk(tuple(offset), packed(content, pipeline, skipped, dtype.itemsize), skipped)


@given(files(), st.data())
def test_what_is_unpacked_is_what_hdf5_reads(
    tmp_path_factory: pytest.TempPathFactory, drawn: Any, data: st.DataObject
) -> None:
    """Of any type, byte order, shape and filters, where chunks have skipped some of these, or aren't there."""
    path, axis = tmp_path_factory.getbasetemp() / "any.h5", drawn[-1]
    made(path, drawn)
    runtime.use_cores(data.draw(st.integers(1, 3), label="threads"))
    try:
        with h5py.File(path) as file:
            stored = Stored(path, file["x"], Witness(path), axis=axis)
            everything = file["x"][...]
            for _ in range(3):
                start = data.draw(st.integers(0, stored.shape[axis]))
                stop = data.draw(st.integers(start, stored.shape[axis]))
                expected = everything.take(range(start, stop), axis)
                found = np.empty(expected.shape, everything.dtype.newbyteorder("="))
                stored.read_direct(found, slice(start, stop))
                assert found.astype(expected.dtype).tobytes() == expected.tobytes()
    finally:
        runtime.use_cores(runtime.prepare().count)


@given(st.binary(max_size=3000), st.sampled_from([1, 100, 1 << 14]))
def test_the_checksum_is_hdf5s(content: bytes, words: int) -> None:
    values = np.frombuffer(content * 3 + b"\xff" * len(content) or b"\0", np.uint8)
    with h5py.File.in_memory() as file:
        stored = file.create_dataset("x", data=values, chunks=values.shape, fletcher32=True)
        checksum = stored.id.read_direct_chunk((0,))[1][-CHECKSUM:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unpacking, "WORDS", words)
        patch.setattr(unpacking, "_TIMES", np.arange(words, 0, -1.0))
        assert fletcher32(values).to_bytes(CHECKSUM, "little") == checksum


@pytest.mark.parametrize("content", [b"", b"abc", bytes(1 << 20), bytes(range(256)) * 4000])
@pytest.mark.parametrize("length", [0, 3, 1000, 1 << 20])
def test_inflating(content: bytes, length: int, library: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces, and never more than there is place for, whatever a bomb holds."""
    monkeypatch.setattr(unpacking, "PIECE", 100)
    target = np.full(length, 7, np.uint8)
    found = Filters(properties_of([DEFLATE], (max(1, length),))).undo(zlib.compress(content), 0, target)
    assert found == (len(content) if len(content) <= length else None)
    assert found is None or target.tobytes() == content + b"\7" * (length - found)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_no_flipped_bit_goes_unseen(pipeline: list[int], library: ModuleType) -> None:
    filters = Filters(properties_of(pipeline, (500,)))
    filters._values = [(4,) for _ in pipeline]
    values = np.random.default_rng(0).integers(0, 60, 2000, np.uint8)
    whole, target = packed(values.tobytes(), pipeline, 0, 4), np.empty(2000, np.uint8)
    assert filters.undo(whole, 0, target) == 2000 and target.tobytes() == values.tobytes()
    for place in range(0, 8 * len(whole), 5):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        length = filters.undo(bytes(damaged), 0, target)
        assert length != 2000 or target.tobytes() == values.tobytes()


@pytest.fixture
def cores() -> Iterator[Callable[[int], None]]:
    yield runtime.use_cores
    runtime.use_cores(runtime.prepare().count)


def test_jobs_come_in_order_and_few_at_a_time(cores: Callable[[int], None]) -> None:
    cores(3)
    lock, now, most = threading.Lock(), [0], [0]

    def job(number: int) -> int:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.002 * (number % 3))
        with lock:
            now[0] -= 1
        return number

    assert [*workers.in_order((lambda n=n: job(n) for n in range(40)), 9)] == [*range(40)]
    assert most[0] <= 3
    most[0] = 0
    assert [*workers.in_order((lambda n=n: job(n) for n in range(10)), 1)] == [*range(10)]
    assert most[0] == 1


def test_one_that_fails_leaves_none_at_work(cores: Callable[[int], None]) -> None:
    """Its successors would go on writing to memory that is used for something else."""
    cores(2)
    ended: list[int] = []

    def slow() -> None:
        threading.Event().wait(0.05)
        ended.append(1)

    def bad() -> None:
        raise DataError("bad")

    with pytest.raises(DataError, match="bad"):
        list(workers.in_order(iter([bad, slow, slow]), 2))
    assert len(ended) == 1


def test_a_forked_process_has_threads_of_its_own(cores: Callable[[int], None]) -> None:
    cores(2)
    assert list(workers.in_order((os.getpid for _ in range(4)), 2)) == [os.getpid()] * 4
    child = os.fork()
    if not child:
        os._exit(list(workers.in_order((lambda: 1 for _ in range(4)), 2)) != [1] * 4)
    assert os.waitpid(child, 0)[1] == 0
