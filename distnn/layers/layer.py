"""What a layer is: parameters plus a fragment of a graph. It has no backward of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, NamedTuple

from distnn.errors import UsageError
from distnn.graph.node import Initializer, Node, parameter, topological
from distnn.registry import Count, Family, FromData, Registered, Stack


class Origin(NamedTuple):
    """Where a run file asks for a layer: the keys of its table, and what messages call it."""

    keys: tuple[str | int, ...]
    name: str

    def blamed(self, error: UsageError) -> UsageError:
        """The error, attributed to this layer unless it is attributed to one inside."""
        return error if error.keys else type(error)(f"{self.name}: {error}").at(*self.keys)


@dataclass(init=False, eq=False, repr=False)
class Layer(
    Registered,
    family=Family("layer", meaning="the layer", default="dense", apart=("name", "initialization")),
):
    """Call it on a node and it returns the node of its output; called again, it shares its parameters.

    Parameters are named ``<layer>.<role>``, as in ``dense1.weight``. A layer without a name gets one from its class and
    its place: among its container's layers, or among the graph's. A subclass has a constructor of its own, or is a
    dataclass that isn't compared by its fields.

    Arguments:
        name: the layer's own name; automatic if None.

    Attributes:
        plain: whether it works on vectors: a run file's list of such layers alone is given each sample as one.
        origin: where a run file asks for it; None for layers made in Python.
    """

    plain: ClassVar[bool] = False

    name: str | None = field(default=None, kw_only=True)

    def __init__(self, name: str | None = None) -> None:
        if name is not None and (not name or "." in name or "/" in name):
            raise UsageError(f"layer name '{name}': expected a word without '.' and '/'.")
        self.name = name
        self.parent: Layer | None = None
        self.origin: Origin | None = None
        self.roles: dict[str, Node] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        Layer.__init__(self, self.name)

    @property
    def stem(self) -> str:
        """The word that automatic names begin with."""
        return type(self).__name__.lower()

    def called(self, *what: object) -> str:
        """The layer in a message: ``Dense(3, name='head')``, with what tells it from others, and its name."""
        words = [*(str(each) for each in what if each != ""), *([f"name={self.name!r}"] if self.name else [])]
        return f"{type(self).__name__}({', '.join(words)})"

    @abstractmethod
    def __call__(self, x: Node) -> Node:
        """The output's node for the input's."""

    @property
    def states(self) -> dict[str, int]:
        """The vectors that a recurrent layer hands on from step to step: their lengths by name, in `unroll`'s order."""
        return {}

    def unroll(self, x: Node, *, state: Sequence[Node] = ()) -> tuple[Node, tuple[Node, ...]]:
        """The output, and the state after the last step, from which a next call may go on.

        Arguments:
            x: as for a plain call.
            state: where to begin, a node (N, length) for each of `states`; zeros if empty.
        """
        return self(x), ()

    def parameter(self, role: str, shape: tuple[int, ...], initializer: Initializer, *, trainable: bool = True) -> Node:
        """This layer's parameter called ``role``, made at the first call."""
        if role not in self.roles:
            self.roles[role] = parameter(None, shape, initializer, layer=self, trainable=trainable)
        return self.roles[role]

    @property
    def lineage(self) -> list[Layer]:
        """This layer's containers, the outermost first, and itself."""
        return [*(self.parent.lineage if self.parent is not None else []), self]


#: Arguments for one unit per output of the data, if a run file leaves them out; and for layers within a layer.
Outputs = Annotated[Count, FromData(last=True)]
Inner = Annotated[Layer, Stack()]


def held(holder: str, layers: Iterable[Any]) -> None:
    """Refuse what is no layer in a layer that holds others.

    Raises:
        UsageError: naming it, and what it is held by.
    """
    for layer in layers:
        if not isinstance(layer, Layer):
            raise UsageError(
                f"{holder}: {layer!r} is no layer; expected objects such as Dense(3) and, for a function, a class that "
                f"is derived from distnn.layers.Layer and calls it."
            )


def number(layers: Iterable[Layer]) -> None:
    """Name those of ``layers`` that have no name: their `Layer.stem` and their number among their like."""
    layers = list(layers)
    taken = {layer.name for layer in layers if layer.name}
    counts: Counter[str] = Counter()
    for layer in layers:
        if layer.name is None:
            counts[layer.stem] += 1
            while f"{layer.stem}{counts[layer.stem]}" in taken:
                counts[layer.stem] += 1
            layer.name = f"{layer.stem}{counts[layer.stem]}"


def name_parameters(outputs: Iterable[Node]) -> None:
    """Give every layer's parameters, and its ops that draw random numbers, in the graph of ``outputs`` dotted names.

    A name leads through the containers to the layer and its role, as in ``block2.dense1.weight``; one container that
    holds the whole graph is not named in it.
    """
    nodes = [node for node in topological(outputs) if isinstance(node.layer, Layer)]
    owners = list({id(node.layer): node.layer for node in nodes}.values())
    roots = list({id(layer.lineage[0]): layer.lineage[0] for layer in owners}.values())
    alone = len(roots) == 1 and not roots[0].roles
    if not alone:
        number(roots)
    for layer in owners:
        words = [str(above.name) for above in layer.lineage[1 if alone else 0 :]]
        for role, node in layer.roles.items():
            node.name = ".".join([*words, role])
        for node in nodes:
            if node.layer is layer and node.op is not None:
                node.op.name = ".".join(words)
