"""Computational graphs: nodes say what to compute, plans say how (`distnn.graph.plan`)."""

from distnn.graph.evaluation import Evaluation, evaluate
from distnn.graph.functions import (
    activate,
    affine,
    binary_cross_entropy,
    correct,
    cross_entropy,
    exp,
    log,
    relu,
    reshape,
    sigmoid,
    softmax,
    squared_error,
    sum,
    tanh,
)
from distnn.graph.gradcheck import check_gradients
from distnn.graph.initial import initialize, parameter_nodes
from distnn.graph.memory import Pool
from distnn.graph.node import Node, apply, constant, input, inputs, parameter, topological
from distnn.graph.plan import Plan, bind_input
from distnn.ops.op import N

__all__ = [
    "Evaluation",
    "N",
    "Node",
    "Plan",
    "Pool",
    "activate",
    "affine",
    "apply",
    "binary_cross_entropy",
    "bind_input",
    "check_gradients",
    "constant",
    "correct",
    "cross_entropy",
    "evaluate",
    "exp",
    "initialize",
    "input",
    "inputs",
    "log",
    "parameter",
    "parameter_nodes",
    "relu",
    "reshape",
    "sigmoid",
    "softmax",
    "squared_error",
    "sum",
    "tanh",
    "topological",
]
