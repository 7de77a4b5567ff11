"""Layouts, channels, cuts and several files together: what is read is what numpy's indexing gives."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from distnn.data import DataFile
from distnn.data.cutting import Cut
from distnn.data.file.fields import Description, Location
from distnn.data.partition import Range
from distnn.data.stream import Stream

#: How samples (N, …, channels) are stored.
STORED = {
    "channels_last": lambda x: x,
    "channels_first": lambda x: np.moveaxis(x, -1, 1),
    "samples_last": lambda x: np.moveaxis(x, 0, -1),
    "reversed": np.transpose,
    "reversed_samples": lambda x: np.moveaxis(np.transpose(x), -1, 0),
}


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_what_is_read_is_what_numpy_gives(data: st.DataObject) -> None:
    draw = data.draw
    layout, dtype = draw(st.sampled_from(sorted(STORED))), draw(st.sampled_from(["<f4", ">f4", ">f2", "u1", ">i2"]))
    shape = (draw(st.integers(4, 12)), *draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    counts = draw(st.sampled_from([[shape[0]], [1, shape[0] - 1], [2, 1, shape[0] - 3]]))
    x = (np.arange(np.prod(shape)).reshape(shape) % 251).astype(dtype)
    y = np.arange(len(x), dtype=draw(st.sampled_from(["<f8", ">f4", ">i4", "i1"])))
    channels = tuple(draw(st.lists(st.integers(0, shape[-1] - 1), max_size=3)))
    options = draw(st.sampled_from([{}, {"chunks": True}, {"chunks": True, "compression": "gzip", "shuffle": True}]))
    cut = Cut(*draw(st.sampled_from([(0, 0), (1, 0), (0.25, 1)])), seed=draw(st.integers(0, 3)))
    given = {"x": Location(("x",), layout=layout, channels=channels), "y": Location(("y",))}
    with tempfile.TemporaryDirectory() as folder:
        edges = np.cumsum([0, *counts])
        for number, (start, stop) in enumerate(pairwise(edges.tolist())):
            with h5py.File(Path(folder) / f"{number}.h5", "w") as file:
                file.create_dataset("x", data=STORED[layout](x[start:stop]), **options)
                file["y"] = y[start:stop]
        path = Path(folder) / ("0.h5" if len(counts) == 1 else "*.h5")
        with DataFile(path, description=Description(given, task="regression", cut=cut)) as file:
            expected = x[..., list(channels)] if channels else x
            seen = [file.numbers(split, 0, file.count(split)) for split in file.splits]
            np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(len(x)))
            for split, numbers in zip(file.splits, seen, strict=True):
                start = draw(st.integers(0, len(numbers)))
                stop = draw(st.integers(start, len(numbers)))
                found = file.read(split, start, stop)
                np.testing.assert_array_equal(found[0], expected[numbers[start:stop]])
                np.testing.assert_array_equal(found[1], y[numbers[start:stop]])
                stream = Stream(file, split)
                arrays = {"x": np.empty((len(numbers), *expected.shape[1:])), "y": np.empty(len(numbers))}
                stream.fill(Range(0, len(numbers)), arrays)
                stream.close()
                np.testing.assert_array_equal(arrays["x"], expected[numbers])
                np.testing.assert_array_equal(arrays["y"], y[numbers])
