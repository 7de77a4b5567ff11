"""The recurrent language model."""

from __future__ import annotations

from typing import Literal

from distnn.layers import Dense, Dropout, Embedding, Layer, Sequential
from distnn.models.kinds import model
from distnn.registry import BelowOne, Count, Initialization, Widths


@model("char-lstm", "language")
def char_lstm(
    outputs: int,
    embedding: Count = 64,  #: the length of a character's vector
    hidden: Widths = (64,),  #: the units of each recurrent layer
    *,
    cell: Literal["lstm", "gru", "rnn"] = "lstm",  #: what a recurrent layer is made of
    dropout: BelowOne = 0.0,  #: the rate behind each recurrent layer; 0 for none
    #: of the last layer's weights; auto is Glorot's
    initialization: Initialization = "auto",
) -> Layer:
    """A vector for each token, recurrent layers one upon the other, and at every step a logit for each next token.

    Tokens (N, T) → (N, T, V) with V ``outputs``. Dropout works between layers only, never from one step to the next.
    Source: Graves, Generating Sequences With Recurrent Neural Networks, 2013; dropout as in Zaremba, Sutskever and
    Vinyals, Recurrent Neural Network Regularization, 2014.
    """
    layers: list[Layer] = [Embedding(outputs, embedding)]
    for units in hidden:
        layers += [Layer.family.find(cell)(units), *([Dropout(dropout)] if dropout else [])]
    return Sequential(*layers, Dense(outputs, initialization=initialization))
