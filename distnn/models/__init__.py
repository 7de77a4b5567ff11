"""Models: builders that put layers together."""

# Messages and pages list kinds in this order.
# isort: off
from distnn.models.dense import linear, logistic, mlp, softmax
from distnn.models.convnet import convnet
from distnn.models.resnet import resnet
from distnn.models.fcn import fcn
from distnn.models.char_lstm import char_lstm
from distnn.models.model import Model
from distnn.models.build import build
# isort: on

__all__ = ["Model", "build", "char_lstm", "convnet", "fcn", "linear", "logistic", "mlp", "resnet", "softmax"]
