"""The activations by the names that run files and layers use."""

from __future__ import annotations

from distnn.errors import UsageError, nearest
from distnn.ops.activation import ELU, Activation, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from distnn.ops.gated import GELU, SiLU
from distnn.ops.probability import LogSoftmax, Softmax

#: ``identity`` is the absence of one.
ACTIVATIONS: dict[str, type[Activation] | None] = {
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "softplus": Softplus,
    "gelu": GELU,
    "silu": SiLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "softmax": Softmax,
    "log_softmax": LogSoftmax,
    "identity": None,
}


def activation(given: str | Activation | None, **options: float) -> Activation | None:
    """The activation op of this name; an op itself, such as ``LeakyReLU(0.2)``, is taken as it is.

    Arguments:
        given: the name, or the op.
        options: the arguments of the op of this name, such as ``slope`` for ``leaky_relu``.

    Returns:
        None for None and for ``identity``.

    Raises:
        UsageError: for an unknown name, with the nearest known one.
    """
    if given is None or isinstance(given, Activation):
        return given
    if given not in ACTIVATIONS:
        raise UsageError(
            f"unknown activation '{given}'{nearest(given, ACTIVATIONS)}; known are {', '.join(sorted(ACTIVATIONS))}."
        )
    kind = ACTIVATIONS[given]
    return kind(**options) if kind else None
