"""From a run file's ``[[model.layers]]`` to layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distnn import layers
from distnn.errors import UsageError
from distnn.layers.layer import Layer, Origin
from distnn.registry import FromData, Stack, keys

Keys = tuple[str | int, ...]
#: A layer's kind and keys, as a run file has them.
Table = Mapping[str, Any]
#: Where a run file's list stands.
LIST: Keys = ("model", "layers")


def sequence(
    tables: Sequence[Table], outputs: int, initialization: str, place: Keys = LIST, *, flatten: bool = False
) -> layers.Sequential:
    """The layers that ``tables`` describe, one after the other.

    Arguments:
        tables: the run file's.
        outputs: of the last layer, and tokens of an embedding, that don't say how many they have.
        initialization: of the weights of layers that have a choice.
        place: where the tables stand in the run file.
        flatten: whether to make each sample a vector first.

    Raises:
        UsageError: for options that don't fit together, naming the layer and its table. When called, a layer that
            doesn't fit its input is named likewise.
    """
    first = [layers.Flatten()] if flatten else []
    made = [_layer(table, outputs, initialization, origin(tables, k, place)) for k, table in enumerate(tables)]
    return layers.Sequential(*first, *made)


def origin(tables: Sequence[Table], number: int, place: Keys = LIST) -> Origin:
    """Where the table of this number stands in the run file, by the keys of its list."""
    place = (*place, number)
    words = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).lstrip(".")
    return Origin(place, f"{words} ({tables[number]['kind']})")


def plain(tables: Sequence[Table]) -> bool:
    """Whether all layers work on vectors, so that each sample is to be made one."""
    return all(_class(table).plain or ("layers" in table and plain(table["layers"])) for table in tables)


def _class(table: Table) -> type[Layer]:
    found: type[Layer] = Layer.family.find(table["kind"])  # type: ignore[assignment]
    return found


def _layer(table: Table, outputs: int, initialization: str, origin: Origin) -> Layer:
    kind = _class(table)
    options = {key: value for key, value in table.items() if key != "kind"}
    for name, argument in keys(kind).items():
        if argument.marked(FromData):
            options.setdefault(name, outputs)
        elif argument.marked(Stack) and name in options:
            options[name] = sequence(options[name], outputs, initialization, (*origin.keys, name))
        elif name == "initialization":
            options[name] = initialization
    try:
        layer = kind(**options)
    except UsageError as error:
        raise origin.blamed(error) from None
    layer.origin = origin
    return layer
