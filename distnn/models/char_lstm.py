"""The recurrent language model."""

from __future__ import annotations

from typing import Literal

from distnn.errors import UsageError
from distnn.layers import GRU, LSTM, Dense, Embedding, Layer, Sequential, SimpleRNN
from distnn.models.convnet import noise
from distnn.models.kinds import model
from distnn.registry import BelowOne, Count, Initialization, Widths

CELLS = {"lstm": LSTM, "gru": GRU, "rnn": SimpleRNN}


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

    Raises:
        UsageError: for another cell.
    """
    if cell not in CELLS:
        raise UsageError(f"char_lstm: cell is {cell!r}; expected 'lstm', 'gru' or 'rnn'.").at("model", "cell")
    layers: list[Layer] = [Embedding(outputs, embedding)]
    for units in hidden:
        layers += [CELLS[cell](units), *noise(dropout)]
    return Sequential(*layers, Dense(outputs, initialization=initialization))
