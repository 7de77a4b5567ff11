"""The drawing of a lesson's graph: every node with its operation and name, its value and its derivative.

The colours are the lecture's: values, which go forward, are blue; derivatives, which come backward, are red.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from distnn.arrays import Array, show
from distnn.graph.drawing.outline import words
from distnn.graph.drawing.sketch import Arrow, Box, Kind, Row, Span
from distnn.graph.evaluation import Evaluation, evaluate
from distnn.graph.node import Node, topological
from distnn.ops import arithmetic

_KIND: dict[str, Kind] = {"input": "input", "parameter": "parameter", "constant": "constant", "op": "operation"}
#: The sign between two operands, and how tightly it binds.
_SIGNS: dict[type, tuple[str, int]] = {
    arithmetic.Add: (" + ", 1),
    arithmetic.Subtract: (" − ", 1),
    arithmetic.Multiply: (" · ", 2),
    arithmetic.Divide: (" / ", 2),
    arithmetic.MatMul: (" @ ", 2),
}
_UNARY, _ATOM = 3, 4
_SUPERSCRIPTS = str.maketrans("0123456789.-", "⁰¹²³⁴⁵⁶⁷⁸⁹·⁻")
#: Longer formulas, and larger arrays, are not written out.
_LONGEST, _LARGEST = 32, 6


def body(output: Node, inputs: Mapping[str, Any] | None) -> tuple[list[Box], list[Arrow]]:
    """The boxes and arrows for the graph of ``output``, with the numbers for ``inputs`` unless that is None."""
    nodes = topological([output])
    place = {id(node): number for number, node in enumerate(nodes)}
    # What a node of a copied graph is called: inputs and parameters keep their names, for their values.
    keys = {key: f"n{number} " for key, number in place.items()}
    keys |= {id(node): str(node.name) for node in nodes if node.kind in ("input", "parameter")}
    run = None if inputs is None else _evaluation(nodes, keys, inputs)
    formulas = _formulas(nodes)
    boxes, arrows = [], []
    for node in nodes:
        rows = [_heading(node, formulas)]
        if run is not None and node.kind != "constant":
            rows += _numbers(node, output, formulas, keys[id(node)], run)
        elif node.shape and node.kind != "constant":
            rows.append((Span(show(node.shape)),))
        boxes.append(Box(_KIND[node.kind], rows))
        arrows += [Arrow(place[id(source)], place[id(node)]) for source in node.inputs]
    return boxes, arrows


def _evaluation(nodes: list[Node], keys: Mapping[int, str], inputs: Mapping[str, Any]) -> Evaluation:
    """Every node's value and derivative, from a copy of the graph with names for all, and inputs for its parameters."""
    copies: dict[int, Node] = {}
    for node in nodes:
        sources = tuple(copies[id(source)] for source in node.inputs)
        copies[id(node)] = replace(node, inputs=sources, name=keys[id(node)], initializer=None)
    return evaluate(copies[id(nodes[-1])], **inputs)


def _formulas(nodes: list[Node]) -> dict[int, tuple[str, int]]:
    """What computes each op, in the names of its operands, and how tightly it binds; unnamed operands written out."""
    made: dict[int, tuple[str, int]] = {}

    def operand(node: Node, tightness: int) -> str:
        if node.name:
            return node.name
        text, binds = made.get(id(node), ("…", _ATOM))
        return f"({text})" if binds < tightness else text

    for node in nodes:
        if node.op is None:
            continue
        if type(node.op) in _SIGNS:
            sign, binds = _SIGNS[type(node.op)]
            # The right operand of − and / keeps its brackets at equal tightness: a − (b − c).
            after = binds + (type(node.op) in (arithmetic.Subtract, arithmetic.Divide))
            text = operand(node.inputs[0], binds) + sign + operand(node.inputs[1], after)
        elif isinstance(node.op, arithmetic.Negate):
            text, binds = f"−{operand(node.inputs[0], _UNARY)}", _UNARY
        elif isinstance(node.op, arithmetic.Power):
            raised = f"{node.op.exponent:g}".translate(_SUPERSCRIPTS)
            text, binds = operand(node.inputs[0], _ATOM) + raised, _UNARY
        else:
            text, binds = f"{words(node.op)}({', '.join(operand(source, 0) for source in node.inputs)})", _ATOM
        made[id(node)] = (text, binds) if len(text) <= _LONGEST else ("…", _ATOM)
    return made


def _heading(node: Node, formulas: Mapping[int, tuple[str, int]]) -> Row:
    """Name and operation: ``u = b · c``."""
    if node.kind == "constant":
        return (Span(node.name or show(node.shape)),)
    if node.op is None:
        return (Span(str(node.name), "name"),)
    formula = formulas[id(node)][0]
    formula = words(node.op) if formula == "…" else formula
    return (Span(node.name, "name"), Span(f" = {formula}")) if node.name else (Span(formula),)


def _numbers(node: Node, output: Node, formulas: Mapping[int, tuple[str, int]], key: str, run: Evaluation) -> list[Row]:
    """The rows with the value and, where there is one, the derivative."""
    rows: list[Row] = [(Span(row, "value"),) for row in _number(run[key])]
    if key in run.gradient and not node.integer:
        text = node.name or formulas[id(node)][0]
        below = text if node.name or formulas[id(node)][1] == _ATOM else f"({text})"
        first, *more = _number(run.gradient[key])
        rows += [(Span(row, "derivative"),) for row in (f"∂{output.name or 'J'}/∂{below} = {first}", *more)]
    return rows


def _number(value: float | Array) -> list[str]:
    """A number; a small array's elements, row by row; a larger one's shape and range."""
    array = np.asarray(value)
    if array.ndim == 0:
        rows = [f"{array:.6g}"]
    elif array.size > _LARGEST or array.ndim > 2 or array.size == 0:
        extent = f", {array.min():.3g} … {array.max():.3g}" if array.size else ""
        rows = [f"{show(array.shape)}{extent}"]
    else:
        rows = ["[" + "  ".join(f"{element:.3g}" for element in row) + "]" for row in np.atleast_2d(array)]
    return [row.replace("-", "−") for row in rows]
