"""Models of dense layers: linear, logistic and softmax regression of one, and the multi-layer perceptron of several.

Source of those of one: Bishop, Pattern Recognition and Machine Learning, 2006, sections 3.1, 4.3.2 and 4.3.4.
"""

from __future__ import annotations

from distnn.errors import RunFileError
from distnn.layers import Dense, Flatten, Layer, Sequential
from distnn.models.kinds import model
from distnn.ops.by_name import ActivationLike
from distnn.registry import Initialization, Widths


@model("linear", "regression")
def linear(outputs: int = 1, *, initialization: Initialization = "auto") -> Layer:
    """Linear regression, ŷ = x W + b. Trained with the squared error."""
    return Sequential(Flatten(), Dense(outputs, initialization=initialization))


@model("logistic", "classification")
def logistic(outputs: int = 2, *, initialization: Initialization = "auto") -> Layer:
    """Logistic regression: one logit x·w + b; its hyperplane x·w + b = 0 parts the two classes.

    Raises:
        RunFileError: for another number of classes than two.
    """
    if outputs != 2:
        raise RunFileError(
            f'model.kind = "logistic" parts two classes, but the data has {outputs}; use kind = "softmax".'
        )
    return Sequential(Flatten(), Dense(1, initialization=initialization))


@model("softmax", "classification")
def softmax(outputs: int, *, initialization: Initialization = "auto") -> Layer:
    """Softmax regression: a logit for each of the classes, which are the outputs."""
    return Sequential(Flatten(), Dense(outputs, initialization=initialization))


@model("mlp", "regression", "classification")
def mlp(
    outputs: int,
    hidden: Widths = (64,),  #: the units of each hidden layer
    activation: ActivationLike = "relu",  #: after every layer but the last
    *,
    initialization: Initialization = "auto",
) -> Layer:
    """Dense layers of ``hidden`` units, each with the activation, and a last one of ``outputs`` without.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, chapter 6.
    """
    layers = [Dense(units, activation, initialization=initialization) for units in hidden]
    return Sequential(Flatten(), *layers, Dense(outputs, initialization=initialization))
