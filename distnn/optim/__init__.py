"""Optimisers and learning-rate schedules."""

# isort: off (in this order messages and pages list them)
from distnn.optim.adam import Adam, AdamW
from distnn.optim.large_batch import LAMB, LARS
from distnn.optim.optimizer import Optimizer
from distnn.optim.schedule import Constant, Cosine, Schedule, StepDecay
from distnn.optim.sgd import SGD

# isort: on

__all__ = ["LAMB", "LARS", "SGD", "Adam", "AdamW", "Constant", "Cosine", "Optimizer", "Schedule", "StepDecay"]
