"""Plans: a graph bound to one batch size, as two lists of closures over buffers that were allocated once.

A plan fixes the order, fuses what can be fused (`distnn.graph.fusion`), decides for every edge whether its gradient is
written or added, and lays all buffers out by their lifetimes (`distnn.graph.lifetimes`). A training step then runs
``forward`` and ``backward`` and allocates nothing. Reverse-mode differentiation as in Griewank and Walther,
Evaluating Derivatives, 2008, chapter 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from distnn.arrays import Array, show
from distnn.errors import ShapeError, UsageError
from distnn.graph.fusion import PlanStep, fuse, steps_of
from distnn.graph.lifetimes import Lifetimes
from distnn.graph.memory import BufferPool
from distnn.graph.node import Node, topological
from distnn.ops.op import Closure, Exchange, nothing
from distnn.parameters import Parameters


class Plan:
    """A graph bound to a batch size.

    Arguments:
        outputs: the nodes to compute, by the names that ``value`` gives them.
        batch: the number of samples, N.
        loss: the scalar node to differentiate; None for a forward-only plan, which reuses every buffer as soon as
            its last reader has run.
        parameters: the vectors that parameter nodes are views of; gradients are written straight into them.
        wrt: further nodes whose gradients are wanted, in ``gradient`` by name.
        dtype: float32 or float64.
        pool: memory shared with other plans, of which only one is in use at a time.
        exchange: adds an array up over all shards of the batch, for ops whose values depend on all of them.
        keep: True keeps every intermediate value and gradient, and fuses nothing.

    Attributes:
        value: arrays by name: every input (to be filled before ``forward``) and output, with ``keep`` every named node.
        gradient: arrays by name for ``wrt``, and with ``keep`` for every named node that has one.
        flops: floating-point operations of one forward.
        bytes: the size of all buffers together.
        messages: the lengths of the arrays that forward and then backward exchange, in their order.

    Raises:
        UsageError: if the batch is below 1, the loss is no scalar, names clash, or parameters are missing.
    """

    def __init__(
        self,
        outputs: Mapping[str, Node],
        *,
        batch: int = 1,
        loss: Node | None = None,
        parameters: Parameters | None = None,
        wrt: Iterable[Node] = (),
        dtype: npt.DTypeLike = np.float32,
        pool: BufferPool | None = None,
        keep: bool = False,
        exchange: Exchange | None = None,
    ) -> None:
        if batch < 1:
            raise UsageError(f"a plan's batch is {batch}; expected a number of samples, at least 1.")
        if loss is not None and loss.shape != ():
            raise UsageError(f"a plan differentiates a scalar; the loss has shape {show(loss.shape)}: sum it first.")
        self.batch, self.dtype, self.parameters, self.loss, self.keep = batch, np.dtype(dtype), parameters, loss, keep
        self._outputs, self._wrt = dict(outputs), list(wrt)
        roots = list(self._outputs.values()) + ([loss] if loss is not None else [])
        self._nodes = topological(roots)
        kept, wanted = {id(node) for node in roots + self._wrt}, {id(node) for node in self._wrt}
        self.steps = self._ordered(kept, wanted, exchange)
        self._views = {id(step.node): step.inputs[0] for step in self.steps if step.op.view}
        self._life = Lifetimes(
            self._nodes,
            self.steps,
            batch=batch,
            dtype=self.dtype,
            kept=kept,
            wrt=wanted,
            loss=loss,
            keep=keep,
            external=parameters is not None,
        )
        self.bytes = (pool or BufferPool()).place(self._life.buffers)
        self.value, self.gradient = self._named()
        self._bind()

    def _ordered(self, kept: set[int], wrt: set[int], exchange: Exchange | None) -> list[PlanStep]:
        """The steps in order: with the exchange bound, in a forward-only plan as prediction has them, and fused."""
        steps = steps_of(self._nodes)
        if exchange:
            steps = [replace(step, op=step.op.over(exchange)) if step.op.exchanges else step for step in steps]
        if self.loss is None:
            steps = [PlanStep(*step.op.inference(step.inputs), step.node) for step in steps]
            read = kept | {id(source) for step in steps for source in step.inputs}
            self._nodes = [node for node in self._nodes if id(node) in read]
        return steps if self.keep else fuse(steps, kept, wrt)

    def forward(self) -> None:
        """Compute every output from the inputs' arrays.

        Fill the inputs anew each time: once their last reader has run, their memory serves other buffers.
        """
        for closure in self._forward:
            closure()

    def backward(self, progress: Callable[[list[str]], object] | None = None) -> None:
        """Compute the gradient of the loss for every parameter and every ``wrt`` node, overwriting the former one.

        Once after each `forward`, whose intermediate values it uses up.

        Arguments:
            progress: called after each operation with the names of the parameters whose gradients it has completed,
                the last layer's first.
        """
        if progress is None:
            for closure in self._backward:
                closure()
            return
        for closure, names in zip(self._backward, self._completed, strict=True):
            closure()
            progress(names)

    def watch(self, record: Callable[[str, float, float], object]) -> None:
        """Record every operation's name, beginning and end, by `time.perf_counter`, from now on."""
        for closures, titles, direction in zip(
            (self._forward, self._backward), self._titles, ("forward", "backward"), strict=True
        ):
            closures[:] = [
                _watched(closure, f"{title} {direction}", record)
                for closure, title in zip(closures, titles, strict=True)
            ]

    def not_finite(self) -> str:
        """What first held an infinite number or NaN in the last forward and backward; an empty text if nothing did.

        For a plan that keeps everything (``keep``).
        """
        for node in self._nodes:
            if node.op is None and not _finite(self._array(node)):
                return f"the {node.kind} {node.name}"
        for step in self.steps:
            if not _finite(self._array(step.node)):
                return f"{_title(step)} forward"
        for step in reversed(self.steps):
            if not all(_finite(self._gradient_of(source)) for source in step.inputs):
                return f"{_title(step)} backward"
        return ""

    @property
    def flops(self) -> int:
        """Floating-point operations of one forward."""
        return sum(step.flops(self.batch) for step in self.steps)

    def _array(self, node: Node) -> Array:
        if node.kind == "constant":
            return np.asarray(node.value, self.dtype)
        if node.kind == "parameter":
            if self.parameters is None or node.name not in self.parameters.value:
                raise UsageError(f"the graph has a parameter '{node.name}' that the plan's parameters don't hold.")
            return self.parameters.value[node.name]
        if id(node) in self._views:
            return self._array(self._views[id(node)]).reshape(node.bound(self.batch))
        array = self._life.values[id(node)].array
        assert array is not None, f"{node!r} has no place"
        return array

    def _gradient_of(self, node: Node) -> Array | None:
        if node is self.loss:
            return self._one
        if node.kind == "parameter" and self.parameters is not None and id(node) in self._life.needs:
            return self.parameters.gradient[str(node.name)]
        return self._life.gradients[id(node)].array if id(node) in self._life.gradients else None

    def _named(self) -> tuple[dict[str, Array], dict[str, Array]]:
        self._one = np.ones((), self.dtype)
        values: dict[str, Array] = {}
        gradients: dict[str, Array] = {}
        named = [(node.name, node) for node in self._nodes if node.kind == "input" or (self.keep and node.name)]
        for name, node in named + list(self._outputs.items()):
            array = self._array(node)
            if name in values and values[name] is not array and node.kind != "constant":
                raise UsageError(f"two nodes of the graph are named '{name}'; names must differ.")
            values[str(name)] = array
        for node in self._nodes if self.keep else self._wrt:
            gradient = self._gradient_of(node)
            if node.name and gradient is not None and node.kind != "constant":
                gradients[node.name] = gradient
        return values, gradients

    def _bind(self) -> None:
        self._forward: list[Closure] = []
        self._backward: list[Closure] = []
        self._completed: list[list[str]] = []
        self._titles: tuple[list[str], list[str]] = ([], [])
        sent: list[list[int]] = [[], []]  # what forward, and backward, exchange
        first_use = {id(x): i for i, step in reversed(list(enumerate(self.steps))) for x in step.inputs}
        for i, step in enumerate(self.steps):
            dy = self._gradient_of(step.node) if id(step.node) in self._life.needs else None
            targets = [None if dy is None else self._gradient_of(source) for source in step.inputs]
            outs, additions = list(targets), []
            for k, target in enumerate(targets):
                if scratch := self._life.scratches.get((i, k)):
                    outs[k] = scratch.array
                    additions.append((target, scratch.array))
            work = {name: buffer.array for name, buffer in self._life.works[i].items()}
            arrays: list[Any] = [self._array(source) for source in step.inputs]
            forward, backward = step.op.bind(work, self._array(step.node), *arrays, dy, *outs)  # type: ignore[arg-type]
            first, second = step.op.messages(*step.shapes(self.batch)[1:]) if step.op.exchanges else ([], [])
            sent[0] += first
            if forward is not nothing:
                self._forward.append(forward)
                self._titles[0].append(_title(step))
            if dy is None or not any(out is not None for out in outs):
                continue
            sent[1][:0] = second if outs[0] is not None else []
            self._backward.insert(0, _then_add(backward, additions) if additions else backward)
            self._titles[1].insert(0, _title(step))
            parameters = {
                id(x): str(x.name) for x in step.inputs if x.kind == "parameter" and id(x) in self._life.needs
            }
            self._completed.insert(0, [name for key, name in parameters.items() if first_use[key] == i])
        self.messages = sent[0] + sent[1]


def _then_add(backward: Closure, additions: list[tuple[Array | None, Array | None]]) -> Closure:
    """The closure that runs ``backward``, then adds to each target, which holds something already, its scratch."""

    def run() -> None:
        backward()
        for target, scratch in additions:
            np.add(target, scratch, out=target)  # type: ignore[arg-type]

    return run


def _watched(closure: Closure, name: str, record: Callable[[str, float, float], object]) -> Closure:
    """The closure that runs this one, and records its name, beginning and end."""

    def run() -> None:
        start = perf_counter()
        closure()
        record(name, start, perf_counter())

    return run


def _finite(array: Array | None) -> bool:
    return array is None or array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _title(step: PlanStep) -> str:
    """An operation's name for people: what it does, and the layer whose parameters it has, if any."""
    layer = next((str(x.name).rpartition(".")[0] for x in step.inputs if x.kind == "parameter"), "")
    return f"{step.op.label} {layer}".rstrip()


def bind_input(plan: Plan, name: str, array: Array) -> None:
    """Copy ``array`` into the plan's input ``name``.

    Raises:
        UsageError: if the graph has no such input.
        ShapeError: if the shape differs from the plan's.
    """
    if name not in plan.value:
        raise UsageError(f"the graph has no input '{name}'; it has {', '.join(plan.value)}.")
    target = plan.value[name]
    if np.shape(array) != target.shape:
        raise ShapeError(f"input '{name}': expected shape {target.shape}, found {np.shape(array)}.")
    np.copyto(target, array, casting="same_kind" if target.dtype.kind == "f" else "safe")
