"""Models: builders that put layers together."""

from distnn.models.build import build
from distnn.models.linear import linear, logistic, softmax
from distnn.models.loss import Loss
from distnn.models.mlp import mlp
from distnn.models.model import Model

__all__ = ["Loss", "Model", "build", "linear", "logistic", "mlp", "softmax"]
