"""Optimisers and learning-rate schedules."""

from distnn.optim.schedule import Schedule
from distnn.optim.sgd import SGD

__all__ = ["SGD", "Schedule"]
