"""The flat vectors: layout, views, tail, fingerprint."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distnn.errors import ShapeError
from distnn.parameters import ALIGNMENT, Parameters

shapes = st.dictionaries(
    st.text("abc.", min_size=1), st.lists(st.integers(0, 7), max_size=3).map(tuple), min_size=1, max_size=6
)


@given(shapes, st.integers(0, 6), st.integers(0, 300))
def test_views_cover_the_vectors_without_overlap(found, tail, minimum):
    parameters = Parameters(found, tail=tail, minimum=minimum)
    assert len(parameters.message) == max(parameters.length + tail, minimum)
    for k, name in enumerate(found):
        parameters.value[name][...] = k + 1
        assert parameters.value[name].shape == found[name]
        assert parameters.offsets[name] % ALIGNMENT == 0
    for k, name in enumerate(found):
        assert (parameters.value[name] == k + 1).all()
    assert np.count_nonzero(parameters.values) == parameters.count
    parameters.gradients[:] = 3
    parameters.tail[:] = 5
    assert (parameters.message[: parameters.length + tail].sum()) == 3 * parameters.length + 5 * tail


def test_vectors_start_on_cache_lines():
    parameters = Parameters({"a": (3, 5), "b": (7,)}, np.float64)
    for array in (parameters.values, parameters.message, *parameters.value.values()):
        assert array.ctypes.data % 64 == 0


def test_the_fingerprint_tells_one_bit():
    parameters = Parameters({"a": (1000,)})
    before = parameters.fingerprint()
    assert Parameters({"a": (1000,)}).fingerprint() == before
    parameters.values.view(np.uint32)[500] ^= 1
    assert parameters.fingerprint() != before


def test_any_vector_of_the_layout_has_views():
    parameters = Parameters({"a": (2, 2), "b": (3,)})
    slot = np.arange(parameters.length, dtype=np.float32)
    np.testing.assert_array_equal(parameters.views(slot)["a"], [[0, 1], [2, 3]])
    with pytest.raises(ShapeError, match="can't hold"):
        parameters.views(slot[:-1])
