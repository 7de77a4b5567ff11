"""The arena: buffers that live at the same time never overlap, and others share their place."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from distnn.graph.memory import LINE, Allocation, BufferPool, lay_out

FLOAT = np.dtype(np.float32)


@st.composite
def buffers(draw):
    result = []
    for _ in range(draw(st.integers(1, 25))):
        start = draw(st.integers(0, 30))
        shape = (draw(st.integers(0, 500)),)
        result.append(Allocation(shape, FLOAT, start, start + draw(st.integers(0, 15))))
    return result


@given(buffers())
def test_buffers_alive_at_one_moment_do_not_overlap(found):
    total = lay_out(found)
    alive = [sum(b.bytes for b in found if b.start <= moment <= b.end) for moment in range(50)]
    assert max(alive) <= total <= sum(b.bytes for b in found)
    for moment in range(50):
        places = sorted((b.offset, b.offset + b.bytes) for b in found if b.start <= moment <= b.end)
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(places))


def test_a_chain_needs_room_for_two_of_its_buffers():
    chain = [Allocation((100,), FLOAT, moment, moment + 1) for moment in range(20)]
    assert lay_out(chain) == 2 * chain[0].bytes


def test_arrays_start_on_cache_lines_and_have_their_shapes():
    pool = BufferPool()
    found = [Allocation((3, 5), FLOAT, 0, 9), Allocation((7,), np.dtype(np.int64), 0, 9), Allocation((), FLOAT, 0, 9)]
    pool.place(found)
    for buffer in found:
        assert buffer.array is not None
        assert buffer.array.shape == buffer.shape
        assert buffer.array.ctypes.data % LINE == 0
