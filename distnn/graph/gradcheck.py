"""Check a graph's gradients against central differences, which don't use the derivative rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from distnn.arrays import Array
from distnn.errors import UsageError
from distnn.graph.node import Node, topological
from distnn.graph.plan import Plan, bind_input
from distnn.parameters import Parameters

#: The rounding error of J that is let pass, relative to J or to 1 if that is larger.
ROUNDING = 50 * np.finfo(np.float64).eps


def check_gradients(
    loss: Node, values: Mapping[str, Array], *, batch: int, parameters: Parameters | None = None, step: float = 1e-6
) -> float:
    """The largest relative error of the graph's gradients, over all float inputs and parameters, in float64.

    Each element θ is moved by ±h, h = ``step`` · max(1, |θ|), and (J(θ+h) − J(θ−h)) / 2h compared with ∂J/∂θ. From
    their difference is taken what J's rounding may do, `ROUNDING`; what is left is divided by the array's largest
    derivative, of both kinds. It is infinite where a derivative or J isn't finite.

    Arguments:
        loss: a scalar node.
        values: an array for each input.
        batch: the number of samples N.
        parameters: float64 parameters, if the graph has any.

    Raises:
        UsageError: if an input has no value.
    """
    inputs = [node for node in topological([loss]) if node.kind == "input" and not node.integer]
    plan = Plan({"loss": loss}, batch=batch, loss=loss, parameters=parameters, wrt=inputs, dtype=np.float64)

    if missing := [str(node.name) for node in topological([loss]) if node.kind == "input" and node.name not in values]:
        raise UsageError(f"check_gradients: the graph's input '{missing[0]}' has no value.")
    arrays = dict(values) | {name: np.array(values[name], np.float64) for name in plan.gradient}

    def evaluate() -> float:
        for name, array in arrays.items():
            bind_input(plan, name, array)
        plan.forward()
        return float(plan.value["loss"])

    allowed = ROUNDING * max(1.0, abs(evaluate())) / step
    plan.backward()
    checked = [(arrays[name], gradient.copy()) for name, gradient in plan.gradient.items()]
    if parameters:
        checked += [(parameters.value[name], parameters.gradient[name].copy()) for name in parameters.trained]
    return float(np.max([_error(array, exact, evaluate, step, allowed) for array, exact in checked], initial=0))


def _error(array: Array, exact: Array, evaluate: Callable[[], float], step: float, allowed: float) -> float:
    """By how much ``exact`` and central differences of ``evaluate`` differ more than ``allowed``, and relatively."""
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
    if not (np.isfinite(estimate).all() and np.isfinite(exact).all()):
        return math.inf
    difference = float(np.max(np.abs(estimate - exact), initial=0)) - allowed
    return difference / float(np.max(np.abs([estimate, exact]))) if difference > 0 else 0.0
