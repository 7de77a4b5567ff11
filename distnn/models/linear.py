"""The three models of one layer: linear, logistic and softmax regression.

Source: Bishop, Pattern Recognition and Machine Learning, 2006, sections 3.1, 4.3.2 and 4.3.4.
"""

from __future__ import annotations

from distnn.errors import RunFileError
from distnn.layers import Dense, Flatten, Layer, Sequential
from distnn.models.kinds import model
from distnn.registry import Initialization


@model("linear", "regression")
def linear(
    outputs: int = 1,
    *,
    #: of the weights; auto is He's before a ReLU and its kin, and Glorot's otherwise
    initialization: Initialization = "auto",
) -> Layer:
    """Linear regression, ŷ = x W + b. Trained with the squared error."""
    return Sequential(Flatten(), Dense(outputs, initialization=initialization))


@model("logistic", "classification")
def logistic(
    outputs: int = 2,
    *,
    #: of the weights; auto is He's before a ReLU and its kin, and Glorot's otherwise
    initialization: Initialization = "auto",
) -> Layer:
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
def softmax(
    outputs: int,
    *,
    #: of the weights; auto is He's before a ReLU and its kin, and Glorot's otherwise
    initialization: Initialization = "auto",
) -> Layer:
    """Softmax regression: a logit for each of the classes, which are the outputs."""
    return Sequential(Flatten(), Dense(outputs, initialization=initialization))
