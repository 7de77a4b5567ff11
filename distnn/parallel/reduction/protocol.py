"""What a step asks of the sum over the ranks: the arithmetic that sums (`GradientSum`), and the way (`Reduction`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from distnn.arrays import Array
from distnn.parallel.communicator import Communicator
from distnn.parallel.reduction.slices import Slices
from distnn.parallel.reduction.units import Exponents
from distnn.parameters import Parameters
from distnn.sums import Sums


class Totals(NamedTuple):
    """Sums over all ranks: over their samples, but for the number of these, which is known without; of the wishes to
    stop and to save; and of the ranks whose gradients aren't finite.
    """

    sums: Sums
    stop: int = 0
    save: int = 0
    bad: int = 0


class GradientSum(Protocol):
    """This rank's part of a step's sums, as one message, and what the message says once the ranks' are added up.

    Attributes:
        parameters: whose gradients are summed.
        message: what a reduction sums, with the gradients first.
        tail: the elements behind them.
        rows: the messages of all ranks of this node, where they share memory.
        direct: whether what backward writes for a step's only micro-shard is what the message holds.
        align: slices of the vectors begin and end at multiples of so many elements.
    """

    parameters: Parameters
    message: Array
    tail: Array
    rows: Array | None
    direct: bool
    align: int

    def begin(self, pieces: int) -> None:
        """Begin a step with so many micro-shards on this rank."""

    def add(self, sums: Array) -> None:
        """Add a micro-shard: the parameters' gradients as they stand, and its sums as in `distnn.sums.Layout`."""

    def close(self, stop: bool, save: bool, *, sent: bool = False) -> None:
        """Write the tail: the message is complete. Gradients that were ``sent`` already can't be looked at any more."""

    def read(self, tail: Array, comm: Communicator) -> Totals | None:
        """What a summed tail says; None if the step has to be computed again."""

    def bind(self, part: slice, total: Array) -> tuple[Array, Callable[[], object]]:
        """The gradients of a slice of the vectors in floating point, and what computes them from its ``total``."""

    def norm(self, values: Array, slices: Slices, mine: range, comm: Communicator | None) -> float:
        """‖g‖₂ of all gradients, of which ``values`` are this rank's slices; ``comm`` is None where that is all."""

    def adapt(self) -> None:
        """Prepare the next step, once the ranks have met after this one's update."""

    @property
    def exponents(self) -> dict[str, int | list[int]]:
        """What a checkpoint has to hold of this beside the parameters."""

    def load(self, exponents: Exponents) -> None:
        """Take over `exponents`."""


class Reduction(Protocol):
    """One sum over the ranks a step: the gradients, and in their tail whatever else the step must agree on.

    Attributes:
        comm: the ranks.
        gradients: what is summed.
        part: the slice of the vectors that this rank is to update.
        values: its gradients, as the last reduction has left them.
        progress: to be called after each operation of a step's only backward, with the names of the parameters whose
            gradients it has completed; None where that is of no use.
    """

    comm: Communicator
    gradients: GradientSum
    part: slice
    values: Array
    progress: Callable[[Sequence[str]], object] | None

    def reduce(self) -> Totals | None:
        """Sum gradients and tail over the ranks; None if the step has to be computed again."""

    def norm(self) -> float:
        """‖Σ g‖₂ of the reduced gradient."""

    def finish(self) -> None:
        """This rank's part is updated: wait for the ranks that update the others, and prepare the next step."""
