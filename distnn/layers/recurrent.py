"""The recurrent layers: a cell over a sequence. For several layers put one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from distnn.arrays import Array, show
from distnn.errors import ShapeError, UsageError
from distnn.graph.functions import reshape
from distnn.graph.node import Initializer, Node, apply
from distnn.layers import initial
from distnn.layers.layer import Layer
from distnn.ops.recurrent import cells
from distnn.ops.recurrent.recurrence import Recurrence
from distnn.ops.sequence import LastStep, Steps
from distnn.registry import Count


@dataclass(eq=False, repr=False)
class Recurrent(Layer):
    """What `SimpleRNN`, `GRU` and `LSTM` have in common.   x (N, T, I) → y (N, T, H), or (N, H) for the last step.

    ``weight_input`` begins as Glorot's for each gate, ``weight_recurrent`` uniform in ±1/√H, biases as 0, but that of
    the LSTM's forget gate as 1. Source: Jozefowicz, Zaremba and Sutskever, An Empirical Exploration of Recurrent
    Network Architectures, 2015, section 2.

    Raises:
        UsageError: for fewer than one unit, or another number of states than the cell has.
        ShapeError: when called on a node that isn't (N, T, I) with the I of its first call.
    """

    cell: ClassVar[cells.Cell]

    units: Count  #: H
    _: KW_ONLY
    last: bool = False  #: true gives each sample's last output alone, (N, H)

    def __call__(self, x: Node, *, state: Sequence[Node] = (), lengths: Node | None = None) -> Node:
        y = self._apply(x, state, lengths, final=False)
        if not self.last:
            return y
        if lengths is not None:
            return apply(LastStep(), y, lengths)
        return self._step(y, _steps(y) - 1)

    @property
    def states(self) -> dict[str, int]:
        # A layer that gives the last output alone begins anew with every sequence.
        return {} if self.last else {name.removesuffix("0"): self.units for name in self.cell.states}

    def unroll(
        self, x: Node, *, state: Sequence[Node] = (), lengths: Node | None = None
    ) -> tuple[Node, tuple[Node, ...]]:
        """All outputs and the state after the last step, from which a next call may go on.

        Arguments:
            x: (N, T, I).
            state: where to begin, in the order of the result: h, or h and c for an LSTM, each (N, H); zeros if empty.
            lengths: (N,), integers; a sample's state stays as it is from this step on, and its outputs are 0. All T if
                None.

        Returns:
            y (N, T, H) and the state, (h,) or (h, c), each (N, H).
        """
        y, steps = self._apply(x, state, lengths, final=True), _steps(x)
        return apply(Steps(0, steps), y), tuple(self._step(y, t) for t in range(steps, _steps(y)))

    def _apply(self, x: Node, state: Sequence[Node], lengths: Node | None, *, final: bool) -> Node:
        expected = self.cell.states
        if len(state) not in (0, len(expected)):
            raise UsageError(
                f"{self.called(self.units)}: its state is {len(state)} nodes; expected {len(expected)}: "
                f"{', '.join(expected)}."
            )
        weights = self._weights(self._features(x))
        op = Recurrence(self.cell, state=bool(state), lengths=lengths is not None, final=final)
        return apply(op, x, *weights, *state, *(() if lengths is None else (lengths,)))

    def _step(self, y: Node, t: int) -> Node:
        return reshape(apply(Steps(t, t + 1), y), self.units)

    def _features(self, x: Node) -> int:
        found = x.shape[2] if len(x.shape) == 3 else None
        known = self.roles["weight_input"].shape[0] if self.roles else found
        if not isinstance(found, int) or found != known:
            raise ShapeError(
                f"{self.called(self.units)}: its input has shape {show(x.shape)}; expected (N, steps, "
                f"{known or 'features'})."
            )
        return found

    def _weights(self, features: int) -> list[Node]:
        gates, units = self.cell.gates, self.units
        width = gates * units
        shapes: dict[str, tuple[tuple[int, ...], Initializer]] = {
            "weight_input": ((features, width), initial.side_by_side(initial.glorot, gates)),
            "weight_recurrent": ((units, width), _uniform),
        }
        shapes |= dict.fromkeys(self.cell.biases, ((width,), self._first_bias))
        return [self.parameter(role, shape, first) for role, (shape, first) in shapes.items()]

    def _first_bias(self, generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return initial.zeros(generator, shape)


class SimpleRNN(Recurrent, kind="rnn"):
    """hₜ = tanh(xₜ W + hₜ₋₁ R + b): ``weight_input`` W, ``weight_recurrent`` R, ``bias`` b. See `Recurrent`."""

    cell = cells.SimpleRNN()


class GRU(Recurrent, kind="gru"):
    """The gated recurrent unit of `distnn.ops.recurrent.cells.GRU`. See `Recurrent`."""

    cell = cells.GRU()


class LSTM(Recurrent, kind="lstm"):
    """The long short-term memory of `distnn.ops.recurrent.cells.LSTM`. See `Recurrent`."""

    cell = cells.LSTM()

    def _first_bias(self, generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return np.repeat([0.0, 1.0, 0.0, 0.0], shape[0] // 4)


def _steps(x: Node) -> int:
    return int(str(x.shape[1]))


def _uniform(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Uniform in ±1/√H. shape (H, kH)."""
    limit = 1 / math.sqrt(shape[0])
    return generator.uniform(-limit, limit, shape)
