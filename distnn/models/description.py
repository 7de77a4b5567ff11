"""A network in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from distnn.arrays import size
from distnn.graph.node import Node, topological
from distnn.ops.activation import Activation
from distnn.ops.arithmetic import MatMul
from distnn.ops.conv.convolution import Conv2D
from distnn.ops.embedding import Embedding
from distnn.ops.linear import Affine
from distnn.ops.recurrent.recurrence import Recurrence

#: A run of equal widths is counted from this length on.
RUN = 3


def describe(output: Node, input_shape: tuple[int, ...], title: str = "") -> str:
    """The widths from input to output and the activations and cells between: ``64-64-32-10, relu``.

    A run of equal widths is counted, and a network with a title is called by it:
    ``ResNet-8: 8×8-16(×3)-32(×3)-64(×3)-10, relu``.
    """
    nodes = [node for node in topological([output]) if node.op is not None]
    wide = [node for node in nodes if isinstance(node.op, Affine | MatMul | Conv2D | Embedding | Recurrence)]
    widths = [_input(input_shape, wide), *_runs([str(node.shape[-1]) for node in wide])]
    kinds = dict.fromkeys(node.op.label for node in nodes if isinstance(node.op, Activation | Recurrence))
    return (f"{title}: " if title else "") + "-".join(widths) + "".join(f", {kind}" for kind in kinds)


def _input(shape: tuple[int, ...], wide: Sequence[Node]) -> str:
    """How many tokens there are; the input's axes where the first layer sees them; else how many numbers it is."""
    first = wide[0].op if wide else None
    if isinstance(first, Embedding):
        return str(wide[0].inputs[1].shape[0])
    seen = isinstance(first, Conv2D | Recurrence)
    return "×".join(map(str, shape)) if seen else str(size(shape))


def _runs(widths: Sequence[str]) -> Iterator[str]:
    for width, run in groupby(widths):
        count = len(list(run))
        yield from [f"{width}(×{count})"] if count >= RUN else [width] * count
