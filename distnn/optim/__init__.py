"""Optimisers and learning-rate schedules."""

from distnn.optim.adam import Adam, AdamW
from distnn.optim.large_batch import LAMB, LARS
from distnn.optim.optimizer import Optimizer
from distnn.optim.schedule import Schedule
from distnn.optim.sgd import SGD

#: The optimisers by the names that run files use.
OPTIMIZERS: dict[str, type[Optimizer]] = {rule.kind: rule for rule in (SGD, Adam, AdamW, LARS, LAMB)}

__all__ = ["LAMB", "LARS", "OPTIMIZERS", "SGD", "Adam", "AdamW", "Optimizer", "Schedule"]
