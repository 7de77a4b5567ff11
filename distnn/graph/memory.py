"""Memory for buffers: they are laid out in one arena by their lifetimes, in a pool that several plans share."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from distnn.arrays import Array, size

#: Buffers start on cache lines.
LINE = 64


@dataclass
class Allocation:
    """The place of one array in an arena, and the first and last moment at which it is in use."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int
    end: int
    offset: int = 0
    array: Array | None = None

    @property
    def bytes(self) -> int:
        """Its bytes, in whole cache lines."""
        return -(-size(self.shape) * self.dtype.itemsize // LINE) * LINE


def lay_out(buffers: list[Allocation]) -> int:
    """Give every buffer an offset such that buffers alive at the same moment don't overlap; return the arena's size.

    Greedy, the largest first, each into the tightest gap between those already placed that live at the same time.
    Source: Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net Inference, 2020, "greedy by size".
    """
    placed: list[Allocation] = []  # by offset
    for buffer in sorted(buffers, key=lambda b: (-b.bytes, b.start)):
        best, tightest, reach = None, None, 0
        for rival in placed:
            if rival.start > buffer.end or buffer.start > rival.end:
                continue
            gap = rival.offset - reach
            if gap >= buffer.bytes and (tightest is None or gap < tightest):
                best, tightest = reach, gap
            reach = max(reach, rival.offset + rival.bytes)
        buffer.offset = reach if best is None else best
        bisect.insort(placed, buffer, key=lambda b: b.offset)
    return max((b.offset + b.bytes for b in placed), default=0)


@dataclass
class BufferPool:
    """Memory that several plans use in turn, such as those of the full batch and of the last, smaller one.

    Only one of them may be between its forward and its backward at any time. A pool grows to the largest plan; a
    plan bound earlier keeps the memory it was bound to.
    """

    arena: npt.NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))

    def place(self, buffers: list[Allocation]) -> int:
        """Lay the buffers out and give each its array; returns the bytes used."""
        needed = lay_out(buffers)
        if needed > len(self.arena):
            raw = np.empty(needed + LINE, np.uint8)
            start = -raw.ctypes.data % LINE
            self.arena = raw[start : start + needed]
        for buffer in buffers:
            length = size(buffer.shape) * buffer.dtype.itemsize
            flat = self.arena[buffer.offset : buffer.offset + length]
            buffer.array = flat.view(buffer.dtype).reshape(buffer.shape)
        return needed
