"""Transforms: what is done to the values of a field before a network sees them."""

# Messages and pages list kinds in this order.
# isort: off
from distnn.data.transforms.transform import RefusedError, State, Transform, refuse
from distnn.data.transforms.standardize import Standardize
from distnn.data.transforms.min_max import MinMax
from distnn.data.transforms.log import Logarithm
from distnn.data.transforms.scale import Clip, Scale
from distnn.data.transforms.fill import Fill
from distnn.data.transforms.one_hot import OneHot
from distnn.data.transforms.shift_labels import ShiftLabels
# isort: on

__all__ = [
    "Clip",
    "Fill",
    "Logarithm",
    "MinMax",
    "OneHot",
    "RefusedError",
    "Scale",
    "ShiftLabels",
    "Standardize",
    "State",
    "Transform",
    "refuse",
]
