"""Layers: parameters plus a graph fragment."""

# Messages and pages list kinds in this order.
# isort: off
from distnn.layers.layer import Layer, name_parameters
from distnn.layers.dense import Dense, Maxout
from distnn.layers.spatial import (
    AveragePool1D,
    AveragePool2D,
    Conv1D,
    Conv2D,
    GlobalAveragePool,
    GlobalMaxPool,
    MaxPool1D,
    MaxPool2D,
    Subsample,
)
from distnn.layers.dropout import Dropout
from distnn.layers.norm import BatchNorm, LayerNorm
from distnn.layers.activation import Activation
from distnn.layers.embedding import Embedding
from distnn.layers.recurrent import GRU, LSTM, SimpleRNN
from distnn.layers.compose import Flatten, Residual, Sequential
# isort: on

__all__ = [
    "GRU",
    "LSTM",
    "Activation",
    "AveragePool1D",
    "AveragePool2D",
    "BatchNorm",
    "Conv1D",
    "Conv2D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Layer",
    "LayerNorm",
    "MaxPool1D",
    "MaxPool2D",
    "Maxout",
    "Residual",
    "Sequential",
    "SimpleRNN",
    "Subsample",
    "name_parameters",
]
