"""The plain reduction: MPI Allreduce on the gradient vector, then the same update on every rank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from distnn.arrays import Array
from distnn.errors import DistnnError
from distnn.parallel.communicator import Communicator
from distnn.parallel.reduction.buckets import Buckets
from distnn.parallel.reduction.gradients import Gradients, Totals, finite
from distnn.parallel.reduction.slices import Slices

#: (scale, learning rate, step, samples) → a slice of the values is updated.
UpdatePart = Callable[[float, float, int, int], None]
Bind = Callable[[slice, Array], UpdatePart]


class Allreduce:
    """One sum over the ranks a step: the gradients, and in their tail whatever else the step must agree on.

    Arguments:
        world: the ranks.
        gradients: whose ``message`` is summed.
        bind: (a slice of the vectors, its summed gradients) → the update of that slice.
        bucket_mb: the sums of so many megabytes begin as soon as backward has completed them; None sums everything
            at the end.

    Attributes:
        progress: to be called after each operation of a step's only backward, with the names of the parameters whose
            gradients it has completed; None where that is of no use.
    """

    progress: Callable[[Sequence[str]], object] | None = None

    def __init__(self, world: Communicator, gradients: Gradients, bind: Bind, bucket_mb: float | None = None) -> None:
        self.world, self.gradients, self.parameters = world, gradients, gradients.parameters
        self.slices = Slices(self.parameters.length, gradients.align, [[world.rank]])
        self.part = slice(0, self.parameters.length)
        self.values, self._restore = gradients.bind(self.part, gradients.message[self.part])
        self.update_part = bind(self.part, self.values)
        self._buckets: Buckets | None = None
        if bucket_mb and world.size > 1 and gradients.direct:
            buckets = Buckets(world, self.parameters, 1e6 * bucket_mb)
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
        return self.gradients.norm(self.values, self.slices, range(1), None)

    def update(self, scale: float, learning_rate: float, step: int, samples: int) -> None:
        """Update the values in the run's ``step``, from the reduced gradient of ``samples`` times ``scale``."""
        self.update_part(scale, learning_rate, step, samples)
        self.gradients.adapt()

    def check(self) -> str:
        """The fingerprint of the parameters, if it is the same on every rank.

        Raises:
            DistnnError: naming the ranks that differ from the majority, and their hosts.
        """
        prints: list[str] = self.world.allgather(self.parameters.fingerprint())
        usual = Counter(prints).most_common(1)[0][0]  # rank 0's where no majority agrees: all ranks must name the same
        if strays := [rank for rank, found in enumerate(prints) if found != usual]:
            named = ", ".join(f"rank {rank} on {self.world.hosts[rank]}" for rank in strays)
            raise DistnnError(
                f"the parameters are no longer the same on every rank: {named} differ from the others. A bit may have "
                f"flipped in memory, or the ranks run different libraries. Resume from the last checkpoint, without "
                f"that host if it happens again."
            )
        return usual
