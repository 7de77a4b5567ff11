"""Recurrence: one op runs a cell over a whole sequence, and back-propagates through time.

Inside, time comes first: all steps together are the rows of one matrix (T·N, kH), so that the projections of the input
are one matrix product, and so is each weight's gradient. Between the products, each gate of a step is an array of its
own (N, H), in the same memory: elementwise work on columns of a wider matrix takes three times as long, and needs
numpy's buffers. Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, chapter 10.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from distnn.arrays import Array, Shape, show
from distnn.errors import ShapeError
from distnn.ops.op import Buffer, Closure, Closures, Op, by_rows, together
from distnn.ops.recurrent.cells import Cell, CellStep, columns_of
from distnn.ops.recurrent.products import Product, repeated, suits


class Recurrence(Op):
    """h₁ … h_T from a sequence x₁ … x_T, one step after the other, from the state h₀.

    x (N, T, I), weight_input (I, kH), weight_recurrent (H, kH), the cell's biases (kH,) each, and where they are inputs
    its state, h0 and for the LSTM c0, (N, H) each, and lengths (N,), integers → y (N, T, H). Without h0 the state is 0
    at first.

    From step ``lengths[n]`` on a sample's state stays as it is, its outputs are 0, and its inputs are not used and get
    no gradient. With ``final``, y has one row more for each state, behind the T outputs: the state after the last step,
    h and then c, whose gradient flows back as that of any output.

    Arguments:
        cell: what is computed at each step.
        state: whether the initial state is an input.
        lengths: whether the samples' lengths are.
        final: whether the output ends with the final state.

    Raises:
        ShapeError: by the shape rule, naming every shape.
    """

    def __init__(self, cell: Cell, *, state: bool = False, lengths: bool = False, final: bool = False) -> None:
        self.cell, self.final, self.kernels = cell, final, cell.kernels
        optional = (cell.states if state else ()) + (("lengths",) if lengths else ())
        self.names = ("x", "weight_input", "weight_recurrent", *cell.biases, *optional)

    @property
    def label(self) -> str:
        return self.cell.label

    def shape(self, *inputs: Any) -> Shape:
        given = dict(zip(self.names, inputs, strict=True))
        x, recurrent = given["x"], given["weight_recurrent"]
        hidden = recurrent[0] if recurrent else 0
        fits = len(x) == 3 and all(isinstance(length, int) and length > 0 for length in (*x[1:], hidden))
        if not fits or any(given[name] != expected for name, expected in self._expected(x, hidden).items()):
            listed = ", ".join(f"{name} {show(shape)}" for name, shape in given.items())
            expected = {name: show(shape) for name, shape in self._expected(("N", "T", "I"), "H").items()}
            raise ShapeError(
                f"{self.label}: {listed} do not fit; expected x (N, T, I)"
                + "".join(f", {name} {expected[name]}" for name in self.names[1:])
                + "."
            )
        return (x[0], x[1] + (len(self.cell.states) if self.final else 0), hidden)

    def _expected(self, x: Any, hidden: Any) -> dict[str, Any]:
        """The shapes of all inputs but x; of letters, if x and ``hidden`` are letters."""
        columns = (
            f"{self.cell.gates}{hidden}".removeprefix("1") if isinstance(hidden, str) else self.cell.gates * hidden
        )
        rules = {"weight_input": (x[-1], columns), "weight_recurrent": (hidden, columns), "lengths": x[:1]}
        rules |= dict.fromkeys(self.cell.biases, (columns,)) | dict.fromkeys(self.cell.states, (x[0], hidden))
        return {name: rules[name] for name in self.names[1:]}

    def flops(self, y: tuple[int, ...], *inputs: Any) -> int:
        (samples, steps, features), hidden = inputs[0], y[-1]
        return int(2 * samples * steps * (features + hidden) * self.cell.gates * hidden)

    def work(self, y: tuple[int, ...], *inputs: tuple[int, ...]) -> dict[str, Buffer]:
        (samples, steps, features), hidden = inputs[0], y[-1]
        wide, state = self.cell.gates * hidden, (samples, hidden)
        asked = {
            "x": Buffer((steps, samples, features), "saved"),
            "gates": Buffer((steps, self.cell.gates, *state), "saved"),
            "projected": Buffer((samples, wide), "forward"),
            "weight": Buffer((hidden, wide), "forward"),
            "scratch": Buffer((2, *state), "backward"),
            "step": Buffer((samples, wide), "backward"),
            "turned": Buffer((wide, hidden), "backward"),
            "sums": Buffer((wide,), "backward"),
        }
        if self.cell.apart:
            asked["apart"] = Buffer((steps, *state), "saved")
        for name in self.cell.states:
            asked[name] = Buffer((steps + 1, *state), "saved")
            asked[f"d{name}"] = Buffer(state, "backward")
            if "lengths" in self.names:
                asked["idle"] = Buffer((steps, samples, 1), "saved", np.bool_)
                asked[f"held {name}"] = Buffer(state, "backward")
        return asked | self.cell.work(steps, samples, hidden)

    def compiles(self, y: tuple[int, ...], *inputs: Any) -> set[str]:
        """Those of the cell, and of the recurrent products, forward and backward."""
        hidden, columns = inputs[self.names.index("weight_recurrent")]
        products = {"products"} if suits(hidden, columns) or suits(columns, hidden) else set()
        return super().compiles(y, *inputs) | products

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        count = len(self.names)
        values = dict(zip(self.names, arrays[:count], strict=True))
        gradients = dict(zip(self.names, arrays[count + 1 :], strict=True))
        forward = self._forward(work, values, y)
        if arrays[count] is None:
            return forward, forward
        through_time = self._through_time(work, values, gradients, arrays[count])
        last = _recurrent_gradients(work, [gradients[name] for name in ("weight_recurrent", *self.cell.biases)])
        return forward, together([through_time, last, _input_gradients(work, values, gradients)])

    def _forward(self, work: dict[str, Array], values: dict[str, Array], y: Array) -> Closure:
        x, states, idle = work["x"], [work[name] for name in self.cell.states], work.get("idle")
        begin, product = repeated(values["weight_recurrent"], work["weight"])
        source, steps = values["x"].transpose(1, 0, 2), len(x)
        advance = self.cell.advance(work, [values[name] for name in self.cell.biases], product)
        rows, columns, weight = by_rows(x), by_rows(columns_of(work["gates"])), values["weight_input"]
        starts = [(state[0], values.get(name, 0)) for name, state in zip(self.cell.states, states, strict=True)]
        ends = [(y[:, steps + k], state[steps]) for k, state in enumerate(states)] if self.final else []
        times = np.arange(steps)[:, None, None]

        def forward() -> None:
            np.copyto(x, source)
            if idle is not None:
                np.less_equal(values["lengths"][None, :, None], times, out=idle)
                np.copyto(x, 0, where=idle)
            np.matmul(rows, weight, out=columns)
            begin()
            for first, start in starts:
                np.copyto(first, start)
            for t in range(steps):
                advance(t)
                if idle is not None:
                    for state in states:
                        np.copyto(state[t + 1], state[t], where=idle[t])
                np.copyto(y[:, t], states[0][t + 1])
                if idle is not None:
                    np.copyto(y[:, t], 0, where=idle[t])
            for last, end in ends:
                np.copyto(last, end)

        return forward

    def _through_time(
        self, work: dict[str, Array], values: dict[str, Array], gradients: dict[str, Any], dy: Array
    ) -> Closure:
        steps, idle, dh = len(work["x"]), work.get("idle"), work["dh0"]
        flowing = [(work[f"d{name}"], work.get(f"held {name}", dh), gradients.get(name)) for name in self.cell.states]
        ends = [dy[:, steps + k] if self.final else 0 for k in range(len(self.cell.states))]
        begin, product = repeated(values["weight_recurrent"].T, work["turned"])
        derive, carry = self.cell.derive(work), _carry(work, product)

        def through_time() -> None:
            begin()
            for (flow, _, _), end in zip(flowing, ends, strict=True):
                np.copyto(flow, end)
            for t in reversed(range(steps)):
                if idle is not None:
                    for flow, held, _ in flowing:
                        np.copyto(held, flow)
                np.add(dh, dy[:, t], out=dh)
                derive(t)
                carry(t)
                if idle is not None:
                    for flow, held, _ in flowing:
                        np.copyto(flow, held, where=idle[t])
            for flow, _, gradient in flowing:
                if gradient is not None:
                    np.copyto(gradient, flow)

        return through_time


def _carry(work: dict[str, Array], product: Product) -> CellStep:
    """What adds to dh what flows from a step's pre-activations, and keeps their gradients for those of the weights."""
    columns, step, idle = columns_of(work["gates"]), work["step"], work.get("idle")
    apart, dh, passed = work.get("apart"), work["dh0"], work["scratch"][0]
    units = dh.shape[-1]

    def carry(t: int) -> None:
        if idle is not None:
            np.copyto(step, 0, where=idle[t])
        np.copyto(columns[t], step)
        if apart is not None:
            if idle is not None:
                np.copyto(apart[t], 0, where=idle[t])
            np.copyto(step[:, -units:], apart[t])
        product(step, passed)
        np.add(dh, passed, out=dh)

    return carry


def _recurrent_gradients(work: dict[str, Array], gradients: list[Any]) -> Closure:
    """What writes the gradients of ``weight_recurrent`` and of the biases, a second of which is added to h R alone."""
    before, columns, sums, units = by_rows(work["h0"][:-1]), by_rows(columns_of(work["gates"])), work["sums"], 0
    (dweight, *dbiases), apart = gradients, None
    if "apart" in work:
        apart, units = by_rows(work["apart"]), work["apart"].shape[-1]
    shared, ones = columns.shape[1] - units, np.ones(len(columns), columns.dtype)

    def recurrent_gradients() -> None:
        np.dot(ones, columns, out=sums)  # faster than add.reduce
        for dbias in dbiases:
            if dbias is not None:
                np.copyto(dbias, sums)
        if dweight is not None:
            np.matmul(before.T, columns[:, :shared], out=dweight[:, :shared])
        if apart is not None and dweight is not None:
            np.matmul(before.T, apart, out=dweight[:, shared:])
        if apart is not None and dbiases[-1] is not None:
            np.dot(ones, apart, out=dbiases[-1][shared:])

    return recurrent_gradients


def _input_gradients(work: dict[str, Array], values: dict[str, Array], gradients: dict[str, Any]) -> Closure:
    """What writes the gradients of ``weight_input`` and x; the copy of x is overwritten."""
    rows, columns, weight = by_rows(work["x"]), by_rows(columns_of(work["gates"])), values["weight_input"]
    dx, dweight, by_sample = gradients["x"], gradients["weight_input"], work["x"].transpose(1, 0, 2)

    def input_gradients() -> None:
        if dweight is not None:
            np.matmul(rows.T, columns, out=dweight)
        if dx is not None:
            np.matmul(columns, weight.T, out=rows)
            np.copyto(dx, by_sample)

    return input_gradients
