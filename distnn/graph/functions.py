"""Functions of nodes that Python has no operator for."""

from __future__ import annotations

from collections.abc import Sequence

from distnn.arrays import Array
from distnn.graph.node import Node, apply
from distnn.ops import activation as activations
from distnn.ops import arithmetic, by_name, classification, gated, linear, loss, probability
from distnn.ops.activation import Activation
from distnn.ops.layer_norm import LayerNorm
from distnn.ops.maxout import Maxout


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


def leaky_relu(x: Node, slope: float = 0.1) -> Node:
    """x where it is above 0, else ``slope`` · x."""
    return apply(activations.LeakyReLU(slope), x)


def elu(x: Node, alpha: float = 1.0) -> Node:
    """x where it is above 0, else ``alpha`` (eˣ − 1)."""
    return apply(activations.ELU(alpha), x)


def softplus(x: Node) -> Node:
    """ln(1 + eˣ), elementwise."""
    return apply(activations.Softplus(), x)


def gelu(x: Node) -> Node:
    """x Φ(x) with the normal distribution function Φ, elementwise."""
    return apply(gated.GELU(), x)


def silu(x: Node) -> Node:
    """x / (1 + e⁻ˣ), elementwise."""
    return apply(gated.SiLU(), x)


def sigmoid(x: Node) -> Node:
    """1 / (1 + e⁻ˣ), elementwise."""
    return apply(activations.Sigmoid(), x)


def tanh(x: Node) -> Node:
    """tanh x, elementwise."""
    return apply(activations.Tanh(), x)


def softmax(x: Node) -> Node:
    """e^xⱼ / Σₖ e^xₖ over the last axis."""
    return apply(probability.Softmax(), x)


def log_softmax(x: Node) -> Node:
    """xⱼ − ln Σₖ e^xₖ over the last axis."""
    return apply(probability.LogSoftmax(), x)


def activate(x: Node, activation: str | Activation | None) -> Node:
    """The activation of this name, or this activation op, of x; x itself for ``identity`` and None.

    Raises:
        UsageError: for an unknown name.
    """
    op = by_name.activation(activation)
    return apply(op, x) if op else x


def maxout(x: Node, pieces: int) -> Node:
    """The largest of ``pieces`` equal parts of the last axis.   x (N, …, pieces · O) → (N, …, O)."""
    return apply(Maxout(pieces), x)


def layer_norm(x: Node, gain: Node, bias: Node, epsilon: float = 1e-5) -> Node:
    """``gain`` · (x − μ) / √(σ² + ε) + ``bias``, with μ and σ² over the last axes, those of gain and bias."""
    return apply(LayerNorm(epsilon), x, gain, bias)


def squared_error(prediction: Node, target: Node, *weights: Node) -> Node:
    """Σ w (p − t)² over the batch: a scalar; ``weights`` w of the samples or of the targets, or none."""
    return apply(loss.SquaredError(), prediction, target, *weights)


def absolute_error(prediction: Node, target: Node, *weights: Node) -> Node:
    """Σ w |p − t| over the batch: a scalar; ``weights`` w of the samples or of the targets, or none."""
    return apply(loss.AbsoluteError(), prediction, target, *weights)


def huber(prediction: Node, target: Node, delta: float = 1.0, *weights: Node) -> Node:
    """Σ w (p − t)² / 2, but growing linearly from |p − t| = ``delta`` on, over the batch: a scalar.

    ``weights`` are w of the samples or of the targets, or none.
    """
    return apply(loss.Huber(delta), prediction, target, *weights)


def binary_cross_entropy(logits: Node, target: Node, *weights: Node) -> Node:
    """−Σ w [t ln σ(z) + (1 − t) ln(1 − σ(z))] over the batch: a scalar; ``weights`` w of the samples, or none."""
    return apply(loss.BinaryCrossEntropy(), logits, target, *weights)


def cross_entropy(
    logits: Node,
    labels: Node,
    *given: Node,
    weights: Sequence[float] | Array | None = None,
    smoothing: float = 0.0,
    ignore: int | None = None,
) -> Node:
    """−Σₙ ln softmax(zₙ)[tₙ] over the batch: a scalar. logits (N, …, C), integer labels (N, …).

    With class ``weights``, label ``smoothing`` or a label to ``ignore``, or with weights ``given`` of the samples or of
    the labels, as `distnn.ops.classification` has them; the mean is then the sum over the shards of this, divided by
    that of `label_weight`.
    """
    if weights is None and not smoothing and ignore is None and not given:
        return apply(classification.CrossEntropy(), logits, labels)
    return apply(classification.WeightedCrossEntropy(weights, smoothing, ignore), logits, labels, *given)


def label_weight(
    labels: Node, *given: Node, weights: Sequence[float] | Array | None = None, ignore: int | None = None
) -> Node:
    """Σₙ of the class weights of the labels that aren't ignored, or of ones: a scalar. Integer labels (N, …).

    Each is multiplied by the weight ``given`` for its sample or for it, if there is one.
    """
    return apply(classification.LabelWeight(weights, ignore), labels, *given)


def correct(logits: Node, labels: Node, *given: Node, ignore: int | None = None) -> Node:
    """How many of the batch are classified right: a scalar. logits (N, …, C), or (N, 1) for two classes.

    With weights ``given`` of the samples or of the labels, the sum of those that are.
    """
    binary = len(logits.shape) == 1 or logits.shape[1:] == (1,)
    op = classification.CorrectBinary() if binary else classification.CorrectClasses(ignore)
    return apply(op, logits, labels, *given)
