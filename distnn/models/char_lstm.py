"""The recurrent language model."""

from __future__ import annotations

from collections.abc import Sequence

from distnn.layers import GRU, LSTM, Dense, Dropout, Embedding, Layer, Sequential, SimpleRNN

#: The recurrent layers by the names that run files give them.
CELLS = {"lstm": LSTM, "gru": GRU, "rnn": SimpleRNN}


def char_lstm(
    tokens: int,
    embedding: int = 64,
    hidden: Sequence[int] = (256,),
    *,
    cell: str = "lstm",
    dropout: float = 0.0,
    initialization: str = "auto",
) -> Layer:
    """A vector for each token, recurrent layers one upon the other, and at every step a logit for each next token.

    Tokens (N, T) → (N, T, V). Dropout works between layers only, never from one step to the next. Source: Graves,
    Generating Sequences With Recurrent Neural Networks, 2013; dropout as in Zaremba, Sutskever and Vinyals, Recurrent
    Neural Network Regularization, 2014.

    Arguments:
        tokens: V, how many different ones there are.
        embedding: the length of a token's vector.
        hidden: the units of each recurrent layer.
        cell: lstm, gru or rnn.
        dropout: the rate behind each recurrent layer; 0 for none.
        initialization: of the last layer's weights.
    """
    layers: list[Layer] = [Embedding(tokens, embedding)]
    for units in hidden:
        layers += [CELLS[cell](units), *([Dropout(dropout)] if dropout else [])]
    return Sequential(*layers, Dense(tokens, initialization=initialization))
