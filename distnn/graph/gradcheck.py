"""Check a graph's gradients against central differences, which don't use the derivative rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from distnn.arrays import Array
from distnn.graph.node import Node, topological
from distnn.graph.plan import Plan, bind_input
from distnn.parameters import Parameters


def check_gradients(
    loss: Node, values: Mapping[str, Array], *, batch: int, parameters: Parameters | None = None, step: float = 1e-6
) -> float:
    """The largest relative error of the graph's gradients, over all float inputs and parameters, in float64.

    Each element θ is moved by ±h, h = ``step`` · max(1, |θ|), and (J(θ+h) − J(θ−h)) / 2h compared with ∂J/∂θ. The
    error is divided by the largest derivative of the same array, or by 1 if that is smaller.

    Arguments:
        loss: a scalar node.
        values: an array for each input.
        batch: the number of samples N.
        parameters: float64 parameters, if the graph has any.
    """
    inputs = [node for node in topological([loss]) if node.kind == "input" and not node.integer]
    plan = Plan({"loss": loss}, batch=batch, loss=loss, parameters=parameters, wrt=inputs, dtype=np.float64)

    arrays = dict(values) | {name: np.array(values[name], np.float64) for name in plan.gradient}

    def evaluate() -> float:
        for name, array in arrays.items():
            bind_input(plan, name, array)
        plan.forward()
        return float(plan.value["loss"])

    evaluate()
    plan.backward()
    checked = [(arrays[name], gradient.copy()) for name, gradient in plan.gradient.items()]
    if parameters:
        checked += [(parameters.value[name], parameters.gradient[name].copy()) for name in parameters.trained]
    return float(np.max([_error(array, exact, evaluate, step) for array, exact in checked], initial=0))


def _error(array: Array, exact: Array, evaluate: Callable[[], float], step: float) -> float:
    """The largest difference between ``exact`` and central differences of ``evaluate``, relative to the largest."""
    estimate = np.empty_like(exact)
    for index in np.ndindex(array.shape):
        kept = float(array[index])
        h = step * max(1.0, abs(kept))
        array[index] = kept + h
        above = evaluate()
        array[index] = kept - h
        below = evaluate()
        array[index] = kept
        estimate[index] = (above - below) / (2 * h)
    return float(np.max(np.abs(estimate - exact), initial=0) / np.max(np.abs(exact), initial=1))
