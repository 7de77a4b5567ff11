"""The multi-layer perceptron."""

from __future__ import annotations

from distnn.layers import Dense, Flatten, Layer, Sequential
from distnn.models.kinds import model
from distnn.ops.by_name import ActivationLike
from distnn.registry import Initialization, Widths


@model("mlp", "regression", "classification")
def mlp(
    outputs: int,
    hidden: Widths = (64,),  #: the units of each hidden layer
    activation: ActivationLike = "relu",  #: after every layer but the last
    *,
    #: of the weights; auto is He's before a ReLU and its kin, and Glorot's otherwise
    initialization: Initialization = "auto",
) -> Layer:
    """Dense layers of ``hidden`` units, each with the activation, and a last one of ``outputs`` without.

    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, chapter 6.
    """
    layers = [Dense(units, activation, initialization=initialization) for units in hidden]
    return Sequential(Flatten(), *layers, Dense(outputs, initialization=initialization))
