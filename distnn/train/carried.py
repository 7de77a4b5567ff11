"""The state of a recurrent model, carried along a text from sequence to sequence.

A text is read as B streams side by side: contiguous pieces, of which a batch takes the next sequence of each. What the
model's state is after a stream's sequence, it is before the next one of that stream; no gradient flows between. A state
belongs to its stream and to no rank. This is truncated back-propagation through time: Williams and Peng, An Efficient
Gradient-Based Algorithm for On-Line Training of Recurrent Network Trajectories, 1990.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from distnn.arrays import Array
from distnn.data.partition import Range, part
from distnn.graph.plan import Plan
from distnn.models.model import Model
from distnn.parallel.communicator import Communicator


class Carried:
    """The states of all streams, of which this rank keeps its own up to date.

    Arguments:
        model: whose states they are; nothing happens for a model that has none.
        streams: B; 0 carries nothing, so that every sequence begins from the state 0.
        dtype: float32 or float64.

    Attributes:
        state: by name the states of all streams, (B, length); empty if nothing is carried.
    """

    def __init__(self, model: Model, streams: int, dtype: npt.DTypeLike) -> None:
        self.streams = streams if model.states else 0
        self.names = tuple(model.states)
        lengths = {name: int(str(start.shape[1])) for name, (start, _) in model.states.items() if self.streams}
        self.state: dict[str, Array] = {name: np.zeros((streams, n), dtype) for name, n in lengths.items()}
        self._marked = {name: np.empty_like(state) for name, state in self.state.items()}

    def reset(self) -> None:
        """Begin every stream anew."""
        for state in self.state.values():
            state.fill(0)

    def mark(self) -> None:
        """Remember the states, for a step that may have to be computed again."""
        for name, state in self.state.items():
            np.copyto(self._marked[name], state)

    def rewind(self) -> None:
        """Go back to the states at the last `mark`."""
        for name, state in self.state.items():
            np.copyto(state, self._marked[name])

    def before(self, plan: Plan, positions: Range) -> None:
        """Give ``plan`` the states of the streams at these positions of the epoch."""
        for name in self.names:
            source = self.state[name][self._rows(positions)] if self.streams else 0
            np.copyto(plan.value[f"before {name}"], source)

    def after(self, plan: Plan, positions: Range) -> None:
        """Keep the states that the streams at these positions have after ``plan``'s forward."""
        for name, state in self.state.items():
            np.copyto(state[self._rows(positions)], plan.value[f"after {name}"])

    def _rows(self, positions: Range) -> slice:
        """The streams at positions within one batch."""
        first = positions.start % self.streams
        return slice(first, first + positions.length)

    def collect(self, comm: Communicator, shards: int) -> dict[str, Array] | None:
        """All streams' states on rank 0, each from the rank that has it; None elsewhere. Every rank has to call it.

        A batch is cut into so many micro-shards, as in `distnn.data.partition.micro_shards`.
        """
        pieces = comm.gather(self._own(comm, shards))
        if pieces is None:
            return None
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in self.state}

    def spread(self, comm: Communicator, shards: int) -> None:
        """Give every rank all streams' states, lest they die with the one that has them; the arguments of `collect`."""
        pieces = comm.allgather(self._own(comm, shards)) if self.state else []
        for name, state in self.state.items():
            np.concatenate([piece[name] for piece in pieces], out=state)

    def _own(self, comm: Communicator, shards: int) -> dict[str, Array]:
        """The states of this rank's streams."""
        rows = slice(*(part(self.streams, shards, edge).start for edge in part(shards, comm.size, comm.rank)))
        return {name: state[rows] for name, state in self.state.items()}
