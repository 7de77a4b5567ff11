"""What a step asks of the sum over the ranks: the arithmetic that sums (`GradientSum`), and the way (`Reduction`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from distnn.arrays import Array
from distnn.parallel.communicator import Communicator
from distnn.parallel.reduction.fixed_point import FixedGradients
from distnn.parallel.reduction.gradients import Gradients, Totals
from distnn.parallel.reduction.slices import Slices

GradientSum = Gradients | FixedGradients


class Reduction(ABC):
    """One sum over the ranks a step: the gradients, and in their tail whatever else the step must agree on.

    Arguments:
        comm: the ranks.
        gradients: what is summed.
        group: the ranks, this one among them, that share one copy of the parameters, and its update by slices.
        groups: all such groups, by the ranks in ``comm``.

    Attributes:
        part: the slice of the vectors that this rank is to update.
        values: its gradients, as the last reduction has left them.
        progress: to be called after each operation of a step's only backward, with the names of the parameters whose
            gradients it has completed; None where that is of no use.
    """

    values: Array
    progress: Callable[[Sequence[str]], object] | None = None

    def __init__(
        self, comm: Communicator, gradients: GradientSum, group: Communicator, groups: Sequence[Sequence[int]]
    ) -> None:
        self.comm, self.gradients, self._group = comm, gradients, group
        self._slices = Slices(gradients.parameters.length, gradients.align, groups)
        self._mine = self._slices.of(comm.rank)
        self.part = self._slices.extent(self._mine)

    @abstractmethod
    def reduce(self) -> Totals | None:
        """Sum gradients and tail over the ranks; None if the step has to be computed again."""

    def norm(self) -> float:
        """‖Σ g‖₂ of the reduced gradient."""
        return self.gradients.norm(self.values, self._slices, self._mine, self._group)

    def finish(self) -> None:
        """This rank's part is updated: wait for the ranks that update the others, and prepare the next step."""
        self._group.barrier()
        self.gradients.adapt()
