"""From a run file's ``[[model.layers]]`` to layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from distnn import layers
from distnn.errors import UsageError
from distnn.layers.activation import Activation
from distnn.layers.layer import Layer, Origin

if TYPE_CHECKING:
    from distnn.config.layers import LayerSettings

Keys = tuple[str | int, ...]
#: Where a run file's list stands.
LIST: Keys = ("model", "layers")
#: The layer of each kind of table, whose keys are its arguments; `Residual` takes lists of tables.
KINDS: dict[str, type[Layer]] = {
    "dense": layers.Dense,
    "maxout": layers.Maxout,
    "conv1d": layers.Conv1D,
    "conv2d": layers.Conv2D,
    "max_pool1d": layers.MaxPool1D,
    "max_pool2d": layers.MaxPool2D,
    "average_pool1d": layers.AveragePool1D,
    "average_pool2d": layers.AveragePool2D,
    "global_average_pool": layers.GlobalAveragePool,
    "global_max_pool": layers.GlobalMaxPool,
    "flatten": layers.Flatten,
    "subsample": layers.Subsample,
    "dropout": layers.Dropout,
    "batch_norm": layers.BatchNorm,
    "layer_norm": layers.LayerNorm,
    "activation": Activation,
    "embedding": layers.Embedding,
    "rnn": layers.SimpleRNN,
    "gru": layers.GRU,
    "lstm": layers.LSTM,
    "residual": layers.Residual,
}
#: Those whose weights ``model.initialization`` speaks of.
INITIALIZED = (layers.Dense, layers.Maxout, layers.Conv2D)
#: Keys that stand for the number of the data's outputs where they are left out.
OUTPUTS = ("units", "tokens")


def sequence(
    tables: Sequence[LayerSettings],
    outputs: int,
    initialization: str,
    keys: Keys = LIST,
    *,
    flatten: bool = False,
) -> layers.Sequential:
    """The layers that ``tables`` describe, one after the other.

    Arguments:
        tables: the run file's.
        outputs: of the last layer, and tokens of an embedding, that don't say how many they have.
        initialization: of the weights of dense and convolutional layers.
        keys: where the tables stand in the run file.
        flatten: whether to make each sample a vector first.

    Raises:
        UsageError: for options that don't fit together, naming the layer and its table. When called, a layer that
            doesn't fit its input is named likewise.
    """
    first = [layers.Flatten()] if flatten else []
    made = [_layer(table, outputs, initialization, origin(tables, place, keys)) for place, table in enumerate(tables)]
    return layers.Sequential(*first, *made)


def origin(tables: Sequence[LayerSettings], place: int, keys: Keys = LIST) -> Origin:
    """Where the table at ``place`` stands in the run file, by the keys of its list."""
    keys = (*keys, place)
    words = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")
    return Origin(keys, f"{words} ({tables[place].kind})")


def _layer(table: LayerSettings, outputs: int, initialization: str, origin: Origin) -> Layer:
    options = {key: getattr(table, key) for key in type(table).model_fields if key not in ("kind", *table.unused())}
    options |= {key: outputs for key in OUTPUTS if key in options and options[key] is None}
    kind = KINDS[table.kind]
    if issubclass(kind, INITIALIZED):
        options["initialization"] = initialization
    if kind is layers.Residual:
        block = sequence(options.pop("layers"), outputs, initialization, (*origin.keys, "layers"))
        around = options["shortcut"]
        shortcut = None if around is None else sequence(around, outputs, initialization, (*origin.keys, "shortcut"))
        options = {"block": block, "shortcut": shortcut}
    try:
        layer = kind(**options)
    except UsageError as error:
        raise origin.blamed(error) from None
    layer.origin = origin
    return layer
