"""What every optimiser is.

An optimiser is a frozen description. ``bind`` turns it, with vectors that never move again, into the one function
that a step calls. Its state is vectors by name beside the values, and the step's number: a checkpoint holds both.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from distnn.arrays import Array
from distnn.kernels.loading import compiled_kernels
from distnn.registry import Family, Registered

#: Elements updated at a time: few enough for values, gradient, slot and scratch to stay in a core's cache from one
#: pass to the next (at 10 million parameters 1.3 times faster than whole vectors), enough to hide numpy's call.
BLOCK = 65536


class Update(Protocol):
    """What ``bind`` makes."""

    def __call__(self, scale: float, learning_rate: float, step: int) -> None:
        """Update the values by the gradient times ``scale``; ``step`` is the number of updates that went before."""


class Block(NamedTuple):
    """A piece of each vector: values, gradient, slots in their order, decay of each element (or None), a scratch."""

    w: Array
    g: Array
    slots: tuple[Array, ...]
    decay: Array | None
    t: Array


def is_weight(name: str) -> bool:
    """Whether the parameter of this dotted name is a layer's ``weight``, or ``weight_…`` if it has several."""
    return name.rpartition(".")[2].startswith("weight")


class Optimizer(
    Registered,
    family=Family(
        "optimiser",
        meaning="the update rule",
        about="The update rule and its numbers; the defaults are those of the `kind`.",
        default="sgd",
    ),
):
    """An update rule: a subclass has a ``learning_rate``, and `update`, which changes one block.

    Attributes:
        learning_rate: the length of a step, which a schedule scales.
        weight_decay: pulls weights towards 0, but not biases and gains; see `decays`.
        layerwise: whether it needs whole parameters, since it looks at each one's norm; else any slices of a model's
            vectors can be bound, so that ranks may share the work.
        slots: the names of the state vectors, each as long as the values and zero at first.
    """

    layerwise: ClassVar[bool] = False
    slots: tuple[str, ...] = ()
    learning_rate: float
    weight_decay: float = 0.0

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.bind is not Optimizer.bind and cls.update is Optimizer.update:
            cls.update = lambda *_: None  # type: ignore[method-assign]  # its own `bind` calls none

    def decays(self, name: str) -> float:
        """The weight decay of the parameter called ``name``: none for biases, and for gains of normalisations."""
        return self.weight_decay if is_weight(name) else 0.0

    def bind(
        self, values: Array, gradients: Array, slots: Mapping[str, Array], segments: Mapping[str, slice]
    ) -> Update:
        """The update of these vectors, all of one length.

        Arguments:
            values: the parameters w, changed in place.
            gradients: the summed gradient; spoiled.
            slots: a vector for each name in ``slots``.
            segments: where each parameter lies in the vectors, by its name; what lies between isn't used.
        """
        state, decay = [slots[name] for name in self.slots], self._decay(values, segments)
        kernels = next(map(compiled_kernels, self.compiles(len(values))), None)
        if kernels and (fused := self._fused(kernels, values, gradients, state, decay)):
            return fused
        scratch = np.empty(min(BLOCK, len(values)), values.dtype)
        blocks = [
            block(values, gradients, state, decay, scratch, slice(start, start + BLOCK))
            for start in range(0, len(values), BLOCK)
        ]

        def update(scale: float, learning_rate: float, step: int) -> None:
            for piece in blocks:
                self.update(piece, scale, learning_rate, step)

        return update

    def compiles(self, length: int) -> set[str]:
        """The names of the compiled kernels (`distnn.kernels`) that it uses for vectors of this length, if it can.

        What fits into one block is in the core's cache throughout, and not worth the 0.7 s that numba takes to start.
        """
        return {"updates"} if length > BLOCK else set()

    def _decay(self, values: Array, segments: Mapping[str, slice]) -> Array | None:
        """The weight decay of each element, or None where nothing decays."""
        if not any(self.decays(name) for name in segments):
            return None
        vector = np.zeros_like(values)
        for name, where in segments.items():
            vector[where] = self.decays(name)
        return vector

    def _fused(
        self, kernels: ModuleType, values: Array, gradients: Array, slots: list[Array], decay: Array | None
    ) -> Update | None:
        """The update of whole vectors by compiled kernels, with the same bits as block by block, if there are any."""
        return None

    @abstractmethod
    def update(self, block: Block, scale: float, learning_rate: float, step: int) -> None:
        """Change one block's values and slots, by its gradient times ``scale``; ``step`` updates went before.

        The gradient and the scratch may be spoiled.
        """


def block(
    values: Array, gradients: Array, slots: list[Array], decay: Array | None, scratch: Array, where: slice
) -> Block:
    """The piece ``where`` of these vectors."""
    w = values[where]
    cut = None if decay is None else decay[where]
    return Block(w, gradients[where], tuple(slot[where] for slot in slots), cut, scratch[: len(w)])
