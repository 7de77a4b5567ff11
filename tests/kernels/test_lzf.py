"""How much LZF has packed, as h5py's own packer has it, with numba and without."""

from __future__ import annotations

import h5py
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from distnn.kernels import lzf
from distnn.kernels.compiled import lzf as compiled


@given(st.lists(st.sampled_from([b"", b"a", b"abc", bytes(40), bytes(range(256)), b"xy" * 400]), min_size=1))
@settings(max_examples=60, deadline=None)
def test_what_is_packed_is_counted(pieces: list[bytes]) -> None:
    content = np.frombuffer(b"".join(pieces) or b"\0", np.uint8)
    with h5py.File.in_memory() as file:
        packed = file.create_dataset("x", data=content, chunks=content.shape, compression="lzf")
        skipped, stored = packed.id.read_direct_chunk((0,))
    if not skipped:
        assert lzf.unpacked(np.frombuffer(stored, np.uint8)) == len(content)


@given(st.binary(max_size=100))
@settings(deadline=None)
def test_both_count_alike_whatever_the_bytes(content: bytes) -> None:
    packed = np.frombuffer(content, np.uint8)
    assert compiled.unpacked(packed) == lzf.unpacked(packed)


def test_what_ends_in_the_middle_is_not_counted() -> None:
    for content in ([3, 1, 2], [64], [224], [224, 1]):
        assert lzf.unpacked(np.array(content, np.uint8)) == -1
