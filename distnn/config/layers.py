"""The tables ``[[model.layers]]``: one kind of table for each layer, with the keys that the layer takes.

The keys are the arguments of the layer's class in `distnn.layers`, which explains them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

from distnn.config.section import Activation, BelowOne, Count, CountOrZero, Positive, Section
from distnn.config.text import Keys, show


def _whole(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """A value of one of several types: where it is of none, there is one mistake, and not one for each type."""
    try:
        return check(value)
    except ValidationError:
        raise PydanticCustomError("value", "of no type that may stand here") from None


_PAIR = Annotated[tuple[Count, Count], Field(strict=False)]
_SIDES = Annotated[tuple[CountOrZero, CountOrZero], Field(strict=False)]
Lengths = Annotated[Count | _PAIR, WrapValidator(_whole), "an integer of at least 1, or two of them, [height, width]"]
Slope = Annotated[float, Field(gt=0, lt=1), "a number above 0 and below 1"]
Fitting = Literal["valid", "same"]
Padding1D = Annotated[
    Fitting | CountOrZero | _SIDES,
    WrapValidator(_whole),
    '"valid", "same", a number of zeros on each side, or [before, after]',
]
Padding2D = Annotated[
    Fitting | CountOrZero | _SIDES | Annotated[tuple[_SIDES, _SIDES], Field(strict=False)],
    WrapValidator(_whole),
    '"valid", "same", a number of zeros on each side, [height, width], or [[top, bottom], [left, right]]',
]


class LayerSettings(Section):
    """What all tables have: their kind.

    Attributes:
        plain: whether the layer works on vectors: a list of such layers alone is given each sample as one.
    """

    plain: ClassVar[bool] = False
    kind: str


class DenseSettings(LayerSettings):
    """``dense``; without ``units`` (the last only) it has one unit per output of the data."""

    plain: ClassVar[bool] = True
    kind: Literal["dense"] = "dense"
    units: Count | None = None  #: the number of outputs; the last layer may leave them out: one per output of the data
    activation: Activation = "identity"
    bias: bool = True


class MaxoutSettings(LayerSettings):
    """``maxout``; ``units`` as for dense layers."""

    plain: ClassVar[bool] = True
    kind: Literal["maxout"] = "maxout"
    units: Count | None = None  #: the number of outputs; the last layer may leave them out: one per output of the data
    pieces: Count = 2


class Conv1DSettings(LayerSettings):
    """``conv1d``."""

    kind: Literal["conv1d"] = "conv1d"
    filters: Count
    kernel: Count = 3
    activation: Activation = "identity"
    stride: Count = 1
    padding: Padding1D = "valid"
    dilation: Count = 1
    groups: Count = 1
    bias: bool = True


class Conv2DSettings(LayerSettings):
    """``conv2d``."""

    kind: Literal["conv2d"] = "conv2d"
    filters: Count
    kernel: Lengths = 3
    activation: Activation = "identity"
    stride: Lengths = 1
    padding: Padding2D = "valid"
    dilation: Lengths = 1
    groups: Count = 1
    bias: bool = True


class Pool1DSettings(LayerSettings):
    """``max_pool1d`` and ``average_pool1d``; without ``stride`` windows lie side by side."""

    kind: Literal["max_pool1d", "average_pool1d"]
    window: Count = 2
    stride: Count | None = None
    padding: Fitting = "valid"


class Pool2DSettings(LayerSettings):
    """``max_pool2d`` and ``average_pool2d``; without ``stride`` windows lie side by side."""

    kind: Literal["max_pool2d", "average_pool2d"]
    window: Lengths = 2
    stride: Lengths | None = None
    padding: Fitting = "valid"


class BareSettings(LayerSettings):
    """Layers without keys of their own: ``global_average_pool``, ``global_max_pool`` and ``flatten``."""

    kind: Literal["global_average_pool", "global_max_pool", "flatten"]


class SubsampleSettings(LayerSettings):
    """``subsample``: a shortcut without weights."""

    kind: Literal["subsample"] = "subsample"
    channels: Count
    stride: Count = 1


class DropoutSettings(LayerSettings):
    """``dropout``."""

    plain: ClassVar[bool] = True
    kind: Literal["dropout"] = "dropout"
    rate: BelowOne = 0.5


class BatchNormSettings(LayerSettings):
    """``batch_norm``."""

    plain: ClassVar[bool] = True
    kind: Literal["batch_norm"] = "batch_norm"
    epsilon: Positive = 1e-5
    whole: bool = False


class LayerNormSettings(LayerSettings):
    """``layer_norm``."""

    plain: ClassVar[bool] = True
    kind: Literal["layer_norm"] = "layer_norm"
    axes: Count = 1
    epsilon: Positive = 1e-5


class ActivationSettings(LayerSettings):
    """``activation``: one that stands alone, such as between a normalisation and the next layer."""

    plain: ClassVar[bool] = True
    kind: Literal["activation"] = "activation"
    activation: Activation
    slope: Slope = 0.1
    alpha: Positive = 1.0

    def unused(self) -> dict[str, str]:
        """``slope`` is the leaky ReLU's own, ``alpha`` the ELU's."""
        owners = {"slope": "leaky_relu", "alpha": "elu"}
        why = 'belongs to activation = "{}" and has no meaning with activation = {}; remove it'
        return {
            key: why.format(owner, show(self.activation)) for key, owner in owners.items() if owner != self.activation
        }


class EmbeddingSettings(LayerSettings):
    """``embedding``; without ``tokens`` it has a vector for each token of the data."""

    kind: Literal["embedding"] = "embedding"
    tokens: Count | None = None  #: how many different ones there are; those of the data if not given
    units: Count


class RecurrentSettings(LayerSettings):
    """``rnn``, ``gru`` and ``lstm``."""

    kind: Literal["rnn", "gru", "lstm"]
    units: Count
    last: bool = False


class ResidualSettings(LayerSettings):
    """``residual``: a block of ``layers``, and a ``shortcut`` around it, the identity by default."""

    kind: Literal["residual"] = "residual"
    layers: Layers  #: the block, written [[model.layers.layers]]
    #: what is around the block, written [[model.layers.shortcut]]; the identity if not given
    shortcut: Layers | None = None

    def clashes(self) -> list[tuple[Keys, str]]:
        """What a block holds is never the network's last layer."""
        shortcut = [] if self.shortcut is None else incomplete("shortcut", self.shortcut)
        return incomplete("layers", self.layers) + shortcut


def _dense_by_default(table: Any) -> Any:
    """A table that doesn't say its kind is dense."""
    return {"kind": "dense", **table} if isinstance(table, dict) else table


Table = Annotated[
    Annotated[
        DenseSettings
        | MaxoutSettings
        | Conv1DSettings
        | Conv2DSettings
        | Pool1DSettings
        | Pool2DSettings
        | BareSettings
        | SubsampleSettings
        | DropoutSettings
        | BatchNormSettings
        | LayerNormSettings
        | ActivationSettings
        | EmbeddingSettings
        | RecurrentSettings
        | ResidualSettings,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_dense_by_default),
    "a table of settings",
]
Layers = Annotated[tuple[Table, ...], Field(strict=False), "a list of tables, each written [[model.layers]]"]
ResidualSettings.model_rebuild()


def incomplete(key: str, tables: Sequence[LayerSettings], *, last: bool = False) -> list[tuple[Keys, str]]:
    """What is missing from the list under ``key``: tables, and units; ``last``: its last table may leave them out."""
    if not tables:
        return [((key,), "is empty, but must hold at least one table")]
    why = "is missing: only the network's last layer may leave it out (it has one unit per output of the data)"
    places = range(len(tables) - last)
    return [((key, k, "units"), why) for k in places if getattr(tables[k], "units", 0) is None]


def plain(tables: Sequence[LayerSettings]) -> bool:
    """Whether all layers work on vectors, so that each sample is to be made one."""
    return all(table.plain or (isinstance(table, ResidualSettings) and plain(table.layers)) for table in tables)
