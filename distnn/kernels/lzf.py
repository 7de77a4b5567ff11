"""LZF, one of HDF5's filters: how much there is in what it has packed, which HDF5 itself doesn't look at.

A byte below 32 says how many bytes follow as they are, less 1. Else its upper three bits are the length of an earlier
run, less 2, to which the next byte is added if all three are set; its lower five bits and one more byte say where that
is. (Lehmann's liblzf, of which HDF5's filter has a copy.)
"""

from __future__ import annotations

from distnn.arrays import Array

#: How many bytes each first byte makes, and how many bytes it is from the next.
_GAIN = [control + 1 if control < 32 else (control >> 5) + 2 for control in range(256)]
_STEP = [control + 2 if control < 32 else 2 + (control >= 224) for control in range(256)]


def unpacked(packed: Array) -> int:
    """How many bytes there are in packed ones; −1 if these end in the middle."""
    content, place, length = packed.tobytes(), 0, 0
    while place < len(content):
        control = content[place]
        length += _GAIN[control]
        if control >= 224:
            if place + 1 == len(content):
                return -1
            length += content[place + 1]
        place += _STEP[control]
    return length if place == len(content) else -1
