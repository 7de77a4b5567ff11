"""Losses of a regression: functions of the error, prediction minus target."""

from __future__ import annotations

from dataclasses import dataclass

from distnn.graph import functions
from distnn.graph.node import Node
from distnn.losses.loss import Loss
from distnn.registry import Positive


@dataclass(frozen=True)
class SquaredError(Loss, kind="squared_error"):
    """Σ (p − t)²."""

    tasks = ("regression",)
    unit = "squared units of y"

    def __call__(self, output: Node, target: Node, *weights: Node) -> Node:
        return functions.squared_error(output, target, *weights)


@dataclass(frozen=True)
class AbsoluteError(Loss, kind="absolute_error"):
    """Σ |p − t|."""

    tasks = ("regression",)
    unit = "units of y"

    def __call__(self, output: Node, target: Node, *weights: Node) -> Node:
        return functions.absolute_error(output, target, *weights)


@dataclass(frozen=True)
class Huber(Loss, kind="huber"):
    """Σ (p − t)² / 2, but growing linearly from |p − t| = δ on: δ (|p − t| − δ / 2).

    Source: Huber, Robust Estimation of a Location Parameter, 1964.

    Raises:
        UsageError: for a δ outside its range.
    """

    tasks = ("regression",)
    unit = "squared units of y"

    delta: Positive = 1.0  #: the error from which on the loss grows linearly

    def __call__(self, output: Node, target: Node, *weights: Node) -> Node:
        return functions.huber(output, target, self.delta, *weights)
