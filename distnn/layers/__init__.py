"""Layers: parameters plus a graph fragment."""

from distnn.layers.compose import Flatten, Residual, Sequential
from distnn.layers.dense import Dense
from distnn.layers.layer import Layer, name_parameters
from distnn.layers.regularisation import BatchNorm, Dropout

__all__ = ["BatchNorm", "Dense", "Dropout", "Flatten", "Layer", "Residual", "Sequential", "name_parameters"]
