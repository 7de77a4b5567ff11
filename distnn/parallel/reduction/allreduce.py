"""The plain reduction: MPI Allreduce on the gradient vector, then the same update on every rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from distnn.parallel.reduction.buckets import Buckets
from distnn.parallel.reduction.gradients import finite
from distnn.parallel.reduction.protocol import GradientSum, Totals
from distnn.parallel.reduction.slices import Slices
from distnn.parallel.world import World


class Allreduce:
    """A `Reduction` by which every rank has all of the summed gradients, and updates all of the parameters.

    Arguments:
        world: the ranks.
        gradients: whose ``message`` is summed.
        bucket_mb: the sums of so many megabytes begin as soon as backward has completed them; None sums everything
            at the end.
    """

    def __init__(self, world: World, gradients: GradientSum, bucket_mb: float | None = None) -> None:
        self.world, self.gradients = world, gradients
        parameters = gradients.parameters
        self.part = slice(0, parameters.length)
        self.values, self._restore = gradients.bind(self.part, gradients.message[self.part])
        self.progress: Callable[[Sequence[str]], object] | None = None
        self._slices = Slices(parameters.length, gradients.align, [[world.rank]])
        self._buckets: Buckets | None = None
        if bucket_mb and world.size > 1 and gradients.direct:
            buckets = Buckets(world, parameters, 1e6 * bucket_mb)
            if len(buckets.pieces) > 2:  # else it is one sum and the tail's, which go together faster
                self._buckets, self.progress = buckets, buckets.progress

    def reduce(self) -> Totals | None:
        """Sum gradients and tail over the ranks; None if the step has to be computed again."""
        if self._buckets:
            self._buckets.finish()
        else:
            self.world.allreduce(self.gradients.message)
        totals = self.gradients.read(self.gradients.tail, self.world)
        if totals is not None:
            self._restore()
            if self._buckets and not finite(self.values):
                totals = totals._replace(bad=1)
        return totals

    def norm(self) -> float:
        """‖Σ g‖₂ of the reduced gradient."""
        return self.gradients.norm(self.values, self._slices, range(1), None)

    def finish(self) -> None:
        """The parameters are updated: prepare the next step."""
        self.gradients.adapt()
