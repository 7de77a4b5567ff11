"""Functions of nodes: what the operators of Python have no sign for."""

from __future__ import annotations

from distnn.graph.node import Node, apply
from distnn.ops import activation as activations
from distnn.ops import arithmetic, linear, loss, probability


def exp(x: Node) -> Node:
    """eˣ, elementwise."""
    return apply(arithmetic.Exp(), x)


def log(x: Node) -> Node:
    """ln x, elementwise."""
    return apply(arithmetic.Log(), x)


def sum(x: Node, axis: int | tuple[int, ...] | None = None) -> Node:
    """Σ x over ``axis``, or over all of it."""
    return apply(arithmetic.Sum(axis), x)


def reshape(x: Node, *shape: int) -> Node:
    """x (N, …) with the axes after the batch laid out as ``shape``, of which one may be −1."""
    return apply(arithmetic.Reshape(*shape), x)


def affine(x: Node, weight: Node, bias: Node) -> Node:
    """x W + b.   x (N, I), W (I, O), b (O,) → (N, O)."""
    return apply(linear.Affine(), x, weight, bias)


def relu(x: Node) -> Node:
    """max(x, 0), elementwise."""
    return apply(activations.ReLU(), x)


def sigmoid(x: Node) -> Node:
    """1 / (1 + e⁻ˣ), elementwise."""
    return apply(activations.Sigmoid(), x)


def tanh(x: Node) -> Node:
    """tanh x, elementwise."""
    return apply(activations.Tanh(), x)


def activate(x: Node, name: str) -> Node:
    """The activation called ``name`` of x; x itself for ``identity``.

    Raises:
        UsageError: for an unknown name.
    """
    op = activations.activation(name)
    return apply(op, x) if op else x


def softmax(x: Node) -> Node:
    """e^xⱼ / Σₖ e^xₖ over the last axis."""
    return apply(probability.Softmax(), x)


def squared_error(prediction: Node, target: Node) -> Node:
    """Σ (p − t)² over the batch: a scalar."""
    return apply(loss.SquaredError(), prediction, target)


def binary_cross_entropy(logits: Node, target: Node) -> Node:
    """−Σ [t ln σ(z) + (1 − t) ln(1 − σ(z))] over the batch: a scalar."""
    return apply(loss.BinaryCrossEntropy(), logits, target)


def cross_entropy(logits: Node, labels: Node) -> Node:
    """−Σₙ ln softmax(zₙ)[tₙ] over the batch: a scalar. logits (N, C), integer labels (N,)."""
    return apply(loss.CrossEntropy(), logits, labels)


def correct(logits: Node, labels: Node) -> Node:
    """How many of the batch are classified right: a scalar. logits (N, C), or (N, 1) for two classes."""
    binary = len(logits.shape) == 1 or logits.shape[1] == 1
    return apply(loss.CorrectBinary() if binary else loss.CorrectClasses(), logits, labels)
