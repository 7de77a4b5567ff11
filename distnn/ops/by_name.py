"""The activations by the names that run files and layers use."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from distnn.arrays import Array
from distnn.errors import UsageError
from distnn.ops import gated, probability  # noqa: F401 (registers them)
from distnn.ops.activation import Activation
from distnn.ops.op import Closures
from distnn.registry import REQUIRED, Named, keys


class NoActivation(Activation, kind="identity"):
    """y = x: no activation. It stands for itself in run files only, and makes no node."""

    def bind(self, work: dict[str, Array], y: Array, *arrays: Any) -> Closures:
        x, dy, dx = arrays
        return (lambda: np.copyto(y, x)), (lambda: np.copyto(dx, dy))


#: What layers take: a name, or an op, such as ``LeakyReLU(0.2)``.
ActivationLike = Annotated[str | Activation, Named(Activation.family)]


def activation(given: ActivationLike | None, **options: Any) -> Activation | None:
    """The activation op of this name; an op itself, such as ``LeakyReLU(0.2)``, is taken as it is.

    Arguments:
        given: the name, ``module:Class`` for a class of the user's own, or the op.
        options: the arguments of the op of this name, such as ``slope`` for ``leaky_relu``.

    Returns:
        None for None and for ``identity``.

    Raises:
        UsageError: for an unknown name, with the nearest known one, or an argument that is missing.
    """
    if given is None or isinstance(given, Activation):
        return given
    kind = Activation.family.find(given)
    needed = [name for name, key in keys(kind).items() if key.default is REQUIRED and name not in options]
    if needed:
        raise UsageError(
            f"activation '{given}' needs {' and '.join(needed)}; give it to a layer of kind \"activation\", which "
            f"takes its keys, or the op itself."
        )
    return None if kind is NoActivation else kind(**options)
