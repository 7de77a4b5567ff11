"""One case of the table that every op runs through: an op, the shapes of its inputs, and an independent formula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from distnn import graph
from distnn.graph import N
from distnn.ops.op import Op

LABELS = "labels"  # stands for an integer input (N,) of 0 … 3
SEQUENCES = "sequences"  # stands for an integer input (N, 3) of 0 … 3
KEY = "key"  # stands for the integer input (3,) of ops that draw random numbers
BITS = "bits"  # stands for a float input (N,) of zeros and ones


@dataclass
class Case:
    """An op, the shapes of its inputs, the shape of its output, and what it should compute.

    ``draw`` gives other inputs than normal ones: functions (generator, bound shape) → array, by the input's place.
    ``spacing`` is the step of the differences, larger where rounding drowns them.
    """

    op: Op
    inputs: tuple[Any, ...]
    output: tuple[Any, ...]
    formula: Callable[..., Any]
    draw: dict[int, Callable[..., Any]] = field(default_factory=dict)
    spacing: float = 1e-6
    least: int = 1  # the samples that it needs
    constants: dict[int, Any] = field(default_factory=dict)  # inputs that nothing is differentiated for, by place

    @property
    def id(self) -> str:
        return f"{self.op.label}-{'-'.join(map(str, self.inputs))}"


def away_from_zero(generator, shape):
    """For functions with a kink or a pole at 0."""
    return generator.uniform(0.3, 1.5, shape) * generator.choice([-1, 1], shape)


def positive(generator, shape):
    """For logarithms."""
    return generator.uniform(0.3, 1.5, shape)


def bits(generator, shape):
    """Zeros and ones."""
    return generator.integers(0, 2, shape)


def build(case):
    """The op's node over fresh inputs called a, b, c, …"""
    nodes = []
    symbols = {LABELS: (N,), SEQUENCES: (N, 3), BITS: (N,), KEY: (3,)}
    for place, (name, shape) in enumerate(zip("abcdefgh", case.inputs, strict=False)):
        if place in case.constants:
            nodes.append(graph.constant(case.constants[place]))
        else:
            bound = symbols[shape] if isinstance(shape, str) else shape
            nodes.append(graph.input(name, bound, integer=shape in (LABELS, SEQUENCES, KEY)))
    return graph.apply(case.op, *nodes)


def values(case, batch, seed=0, dtype=np.float64):
    """An array for each input."""
    generator = np.random.default_rng(seed)
    found = {}
    for place, (name, shape) in enumerate(zip("abcdefgh", case.inputs, strict=False)):
        if place in case.constants:
            continue
        if shape in (LABELS, SEQUENCES):
            found[name] = generator.integers(0, 4, batch if shape == LABELS else (batch, 3))
            continue
        if shape == KEY:
            found[name] = np.array([seed, 1, 2])
            continue
        bound = tuple(batch if length is N else length for length in ((N,) if shape == BITS else shape))
        draw = case.draw.get(place, bits if shape == BITS else lambda generator, shape: generator.normal(size=shape))
        found[name] = np.asarray(draw(generator, bound), dtype)
    return found


def scalar(node):
    """Σ w (y² / 2 + y): a scalar that weighs every element of y differently, by the integer input ``weights``.

    Without weights, a norm would hide a wrong derivative: what it computes has Σ y and Σ y² fixed.
    """
    if node.shape == ():
        return node
    return graph.sum(graph.input("weights", node.shape, integer=True) * (node * node * 0.5 + node))


def weighed(case, batch, seed=0, dtype=np.float64):
    """An array for each input of `scalar` of the case's node."""
    found = values(case, batch, seed, dtype)
    if case.output:
        bound = tuple(batch if length is N else length for length in case.output)
        found["weights"] = np.random.default_rng(seed).integers(1, 10, bound)
    return found
