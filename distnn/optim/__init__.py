"""Optimisers and learning-rate schedules."""

# Messages and pages list kinds in this order.
# isort: off
from distnn.optim.optimizer import Optimizer
from distnn.optim.sgd import SGD
from distnn.optim.adam import Adam, AdamW
from distnn.optim.large_batch import LAMB, LARS
from distnn.optim.schedule import Constant, Cosine, Schedule, StepDecay
# isort: on

__all__ = ["LAMB", "LARS", "SGD", "Adam", "AdamW", "Constant", "Cosine", "Optimizer", "Schedule", "StepDecay"]
