"""Layers: parameters plus a graph fragment."""

from distnn.layers.compose import Flatten, Sequential
from distnn.layers.dense import Dense
from distnn.layers.layer import Layer, name_parameters

__all__ = ["Dense", "Flatten", "Layer", "Sequential", "name_parameters"]
