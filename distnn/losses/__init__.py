"""Losses: what is minimised."""

# isort: off (in this order messages and pages list them)
from distnn.losses.auto import Auto
from distnn.losses.cross_entropy import CrossEntropy
from distnn.losses.errors import AbsoluteError, Huber, SquaredError
from distnn.losses.loss import Loss

# isort: on

__all__ = ["AbsoluteError", "Auto", "CrossEntropy", "Huber", "Loss", "SquaredError"]
