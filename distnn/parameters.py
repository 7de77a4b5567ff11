"""All numbers of a model in one place: flat vectors with named views.

One contiguous vector holds the values, one the gradients, one each slot of the optimiser. So Allreduce packs
nothing, an update is one pass over flat memory, and a fingerprint is one hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from distnn.arrays import Array, size
from distnn.errors import ShapeError

#: Each parameter starts on a cache line: 64 bytes, in elements of 4 bytes.
ALIGNMENT = 16


class Memory(Protocol):
    """A source of vectors."""

    def one(self, length: int, dtype: np.dtype[Any]) -> Array:
        """``length`` zeros, of which the ranks that share this memory hold one copy together."""

    def each(self, length: int, dtype: np.dtype[Any]) -> Array:
        """``length`` zeros of this rank's own."""


def zeros(length: int, dtype: np.dtype[Any]) -> Array:
    """``length`` zeros in memory of this process, on a cache-line boundary."""
    raw = np.zeros(length * dtype.itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + length * dtype.itemsize].view(dtype)


class PrivateMemory:
    """Memory of this process."""

    one = each = staticmethod(zeros)


class Parameters:
    """The values and gradients of named parameters, and a tail of the gradient vector for sums reduced with them.

    Arguments:
        shapes: each parameter's shape by its dotted name; the order is the order in memory.
        running: running means of statistics, further arrays by name that have no gradient. They lie behind the
            parameters, and the batch's sums of the statistics behind the gradients.
        dtype: float32 or float64.
        tail: extra elements after the gradients, which the same reduction sums.
        minimum: the gradient vector's least length (a reduction over p ranks is slow below p elements: facts of
            MPICH's choice of algorithm, Thakur, Rabenseifner and Gropp 2005).
        memory: makes the vectors; of this process by default.

    Attributes:
        values, gradients: the flat vectors. ``gradients`` has the tail behind it in ``message``.
        value, gradient: views into them by name, in the parameters' own shapes.
        message: gradients, tail and padding: what a reduction sums.
        trained: the names of the parameters without the running means.
        trainable: how many elements of the vectors are theirs.
        tail: the view of the tail.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        dtype: npt.DTypeLike = np.float32,
        *,
        running: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
        tail: int = 0,
        minimum: int = 0,
        memory: Memory | None = None,
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.shapes = {**shapes, **running}
        self.trained = tuple(shapes)
        self.offsets: dict[str, int] = {}
        length = 0
        for name, shape in self.shapes.items():
            self.offsets[name] = length
            length += -(-size(shape) // ALIGNMENT) * ALIGNMENT
        self.length = length
        self.trainable = min((self.offsets[name] for name in running), default=length)
        memory = memory or PrivateMemory()
        self.values = memory.one(length, self.dtype)
        self.message = memory.each(max(length + tail, minimum), self.dtype)
        self.gradients = self.message[:length]
        self.tail = self.message[length : length + tail]
        self.value = self.views(self.values)
        self.gradient = self.views(self.gradients)

    @property
    def count(self) -> int:
        """The number of parameters; neither padding nor running means are counted."""
        return sum(size(self.shapes[name]) for name in self.trained)

    def views(self, vector: Array) -> dict[str, Array]:
        """Named views, in the parameters' shapes, into any vector laid out like the values.

        A vector of ``trainable`` elements, such as a slot of an optimiser, has views for the trained parameters only.

        Raises:
            ShapeError: if the vector is of neither length.
        """
        if vector.shape not in ((self.length,), (self.trainable,)):
            raise ShapeError(
                f"parameters: a vector of shape {vector.shape} can't hold {self.length} elements, nor the "
                f"{self.trainable} that are trained."
            )
        names = self.shapes if len(vector) == self.length else self.trained
        return {
            name: vector[self.offsets[name] :][: size(self.shapes[name])].reshape(self.shapes[name]) for name in names
        }

    def fingerprint(self) -> str:
        """A hash of every value's bits (BLAKE2b, 16 hexadecimal digits): equal on ranks whose parameters are equal."""
        return hashlib.blake2b(self.values.data, digest_size=8).hexdigest()
