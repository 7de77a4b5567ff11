"""Losses: what is minimised."""

# Messages and pages list kinds in this order.
# isort: off
from distnn.losses.loss import Loss
from distnn.losses.errors import AbsoluteError, Huber, SquaredError
from distnn.losses.cross_entropy import Auto, CrossEntropy
# isort: on

__all__ = ["AbsoluteError", "Auto", "CrossEntropy", "Huber", "Loss", "SquaredError"]
