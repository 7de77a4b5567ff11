"""The update of a model's vectors, or of the slice of them that is this rank's: parameters and running means."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from distnn.arrays import Array
from distnn.optim import Optimizer
from distnn.parameters import Memory, Parameters, PrivateMemory

#: (scale, learning rate, step, samples): update in the run's ``step``, by the summed gradients of so many samples times
#: ``scale``.
UpdatePart = Callable[[float, float, int, int], None]
#: The share of the way that running means go to a step's statistics.
FOLLOW = 0.1


class ParameterUpdate:
    """An optimiser with its state, beside the parameters that it updates.

    Arguments:
        optimizer, parameters: the update rule, and what is updated.
        memory: what the state lives in; of this process if None.

    Attributes:
        slots: the optimiser's state by name, each a vector like the trained parameters.
    """

    def __init__(self, optimizer: Optimizer, parameters: Parameters, memory: Memory | None = None) -> None:
        self.optimizer, self.parameters = optimizer, parameters
        memory = memory or PrivateMemory()
        self.slots = {name: memory.one(parameters.trainable, parameters.dtype) for name in optimizer.slots}

    def bind(self, part: slice, gradients: Array) -> UpdatePart:
        """The update of a slice of the vectors: the optimiser's for parameters, a tenth of the way for running means.

        It spoils ``gradients``, the summed ones of this slice. Running means: Ioffe and Szegedy, Batch Normalization,
        2015, arXiv:1502.03167.
        """
        parameters = self.parameters
        trained = slice(part.start, max(part.start, min(part.stop, parameters.trainable)))
        count = trained.stop - trained.start
        update = self.optimizer.bind(
            parameters.values[trained],
            gradients[:count],
            {name: vector[trained] for name, vector in self.slots.items()},
            _segments(parameters, trained),
        )
        running, sums = parameters.values[trained.stop : part.stop], gradients[count:]

        def run(scale: float, learning_rate: float, step: int, samples: int) -> None:
            update(scale, learning_rate, step)
            if len(running):
                np.multiply(sums, FOLLOW / samples, out=sums)
                np.multiply(running, 1 - FOLLOW, out=running)
                np.add(running, sums, out=running)

        return run


def _segments(parameters: Parameters, part: slice) -> dict[str, slice]:
    """Where the trained parameters, or what of them is in ``part`` of the vectors, lie in that part."""
    segments = {}
    for name in parameters.trained:
        start, stop = parameters.offsets[name], parameters.offsets[name] + parameters.value[name].size
        start, stop = max(start, part.start), min(stop, part.stop)
        if start < stop:
            segments[name] = slice(start - part.start, stop - part.start)
    return segments
