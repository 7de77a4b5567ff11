"""Models: builders that put layers together."""

# isort: off (in this order messages and pages list them)
from distnn.models.build import build
from distnn.models.char_lstm import char_lstm
from distnn.models.convnet import convnet
from distnn.models.linear import linear, logistic, softmax
from distnn.models.mlp import mlp
from distnn.models.model import Model
from distnn.models.resnet import resnet

# isort: on

__all__ = ["Model", "build", "char_lstm", "convnet", "linear", "logistic", "mlp", "resnet", "softmax"]
