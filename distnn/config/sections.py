"""What may stand in a run file: one frozen model per section.

Types are strict: ``"3"`` is not 3 and ``true`` is not 1, but 1 may stand for 1.0. The words inside a type say what is
valid; an error message prints them (`distnn.config.explain`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from distnn.config.text import Keys, show

Count = Annotated[int, Field(ge=1), "an integer of at least 1"]
CountOrZero = Annotated[int, Field(ge=0), "an integer of at least 0"]
Seed = Annotated[int, Field(ge=0, lt=2**63), "an integer from 0 to 2^63 - 1"]
Positive = Annotated[float, Field(gt=0), "a finite number above 0"]
NotNegative = Annotated[float, Field(ge=0), "a finite number of at least 0"]
BelowOne = Annotated[float, Field(ge=0, lt=1), "a number of at least 0 and below 1"]
Fraction = Annotated[float, Field(gt=0, le=1), "a number above 0, up to 1"]
Number = Annotated[float, "a finite number"]
Text = Annotated[str, Field(min_length=1), "text in quotation marks"]
Factory = Annotated[
    str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"), 'text such as "module:function"'
]
Widths = Annotated[tuple[Count, ...], Field(strict=False), "a list of integers of at least 1, such as [64, 32]"]
Weights = Annotated[
    tuple[NotNegative, ...], Field(strict=False), "a list of numbers of at least 0, one per class, such as [1.0, 2.5]"
]
Activation = Literal[
    "relu", "leaky_relu", "elu", "softplus", "gelu", "silu", "sigmoid", "tanh", "softmax", "log_softmax", "identity"
]
# TOML has no null, so 0 is how a file says "never"; the field then holds None.
_ZERO_IS_NEVER = BeforeValidator(lambda value: None if type(value) is int and value == 0 else value)
CountOrNever = Annotated[int | None, Field(ge=1), _ZERO_IS_NEVER, "an integer of at least 1, or 0 for never"]


class Section(BaseModel):
    """What all sections share: strict, frozen, no unknown keys, and checks that span several keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    def unused(self) -> dict[str, str]:
        """The keys that have no meaning beside the others' values, each with the reason."""
        return {}

    def clashes(self) -> list[tuple[Keys, str]]:
        """Where a value contradicts another, and why."""
        return []

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        unused = [((key,), why) for key, why in self.unused().items() if key in self.model_fields_set]
        if found := [*self.clashes(), *unused]:
            raise PydanticCustomError("clash", "{found}", {"found": found})
        return self


class LayerSettings(Section):
    """One ``[[model.layers]]`` table; without ``units`` (the last only) it has one unit per output of the data."""

    kind: Literal["dense"] = "dense"
    units: Count | None = None
    activation: Activation = "identity"
    bias: bool = True


Layers = Annotated[tuple[LayerSettings, ...], Field(strict=False), "a list of tables, each written [[model.layers]]"]
WAYS = (
    'kind = "linear", "logistic", "softmax", "mlp" or "char-lstm", or [[model.layers]] tables, '
    'or factory = "module:function"'
)
#: The kinds of model that each of these keys belongs to.
OWNERS = {
    "hidden": ("mlp", "char-lstm"),
    "activation": ("mlp",),
    "embedding": ("char-lstm",),
    "cell": ("char-lstm",),
    "dropout": ("char-lstm",),
}


class ModelSettings(Section):
    """``[model]``: exactly one of a ``kind``, a list of ``layers``, or a ``factory`` of the user's."""

    kind: Literal["linear", "logistic", "softmax", "mlp", "char-lstm"] | None = None
    hidden: Widths = (64,)
    activation: Activation = "relu"
    embedding: Count = 64
    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    dropout: BelowOne = 0.0
    initialization: Literal["auto", "glorot", "he"] = "auto"
    layers: Layers | None = None
    factory: Factory | None = None

    def _given(self) -> list[str]:
        return [key for key in ("kind", "layers", "factory") if getattr(self, key) is not None]

    def unused(self) -> dict[str, str]:
        """Each kind has its own keys (`OWNERS`); a factory initialises its weights itself."""
        if len(self._given()) != 1:
            return {}
        given = f"kind = {show(self.kind)}" if self.kind else "a factory" if self.factory else "[[model.layers]]"
        words = {}
        for key, kinds in OWNERS.items():
            if self.kind not in kinds:
                owners = " or ".join(map(show, kinds))
                words[key] = f"belongs to kind = {owners} and has no meaning with {given}; remove it"
        if self.layers:
            words["activation"] += ", or give one to each layer"
        if self.factory:
            words["initialization"] = "has no meaning with a factory, which makes its own weights; remove it"
        return words

    def clashes(self) -> list[tuple[Keys, str]]:
        """One way of saying what to build, and units for all layers but the last."""
        given = self._given()
        if not given:
            return [((), f"must say what to build: {WAYS}")]
        if len(given) > 1:
            return [((given[-1],), f"stands beside {given[0]}, but each says what to build; keep one of them")]
        if self.layers == ():
            return [(("layers",), "is empty, but must hold at least one [[model.layers]] table")]
        why = "is missing: only the last layer may leave it out (it has one unit per output of the data)"
        inner = (self.layers or ())[:-1]
        return [(("layers", place, "units"), why) for place, layer in enumerate(inner) if layer.units is None]


class DataSettings(Section):
    """``[data]``: the HDF5 file, and the global batch (over all ranks) that one step sees.

    ``streams``: read a text as ``batch_size`` streams side by side, each with the state that its last sequence left.
    """

    path: Text
    batch_size: Count | Literal["full"] = 64
    shuffle: bool = True
    streams: bool = False

    def unused(self) -> dict[str, str]:
        """Streams have an order of their own."""
        why = "has no meaning with streams = true, which reads each stream in its order; remove it"
        return {"shuffle": why} if self.streams else {}

    def clashes(self) -> list[tuple[Keys, str]]:
        """A stream of a single sequence goes nowhere."""
        if self.streams and self.batch_size == "full":
            why = 'is true, but with batch_size = "full" each stream is a single sequence; give a number of streams'
            return [(("streams",), why)]
        return []


class AugmentSettings(Section):
    """``[augment]``: random changes of training images, anew in each epoch; ``shift`` and ``crop`` are in pixels.

    ``flip`` turns an image left to right, or not; ``shift`` moves it by up to so many pixels each way, filled up with
    zeros; ``crop`` cuts a window of its own size from the image continued by so many mirrored pixels on each side.
    """

    flip: bool = False
    shift: CountOrZero = 0
    crop: CountOrZero = 0

    def clashes(self) -> list[tuple[Keys, str]]:
        """Both ``shift`` and ``crop`` move the image."""
        if self.shift and self.crop:
            return [(("crop",), "stands beside shift, but each moves the image; keep one of them")]
        return []


class TrainSettings(Section):
    """``[train]``: how long, from which seed, in which precision; and what ends the run early."""

    epochs: Count = 10
    seed: Seed = 0
    dtype: Literal["float32", "float64"] = "float32"
    accumulate: Count = 1
    clip_norm: Positive | None = None
    target_accuracy: Fraction | None = None
    target_loss: Number | None = None
    patience: Count | None = None


_ADAM: dict[str, float | bool] = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
#: The keys that each kind of optimizer takes, with their defaults.
RULES: dict[str, dict[str, float | bool]] = {
    "sgd": {"learning_rate": 0.1, "weight_decay": 0.0, "momentum": 0.0, "nesterov": False},
    "adam": {"learning_rate": 0.001, "weight_decay": 0.0, **_ADAM},
    "adamw": {"learning_rate": 0.001, "weight_decay": 0.01, **_ADAM},
    "lars": {"learning_rate": 1.0, "weight_decay": 0.0005, "momentum": 0.9, "trust": 0.001},
    "lamb": {"learning_rate": 0.001, "weight_decay": 0.01, **_ADAM, "epsilon": 1e-6},
}


class OptimizerSettings(Section):
    """``[optimizer]``: the update rule and its numbers; the defaults are those of the ``kind``."""

    kind: Literal["sgd", "adam", "adamw", "lars", "lamb"] = "sgd"
    learning_rate: Positive = 0.1
    weight_decay: NotNegative = 0.0
    momentum: BelowOne = 0.0
    nesterov: bool = False
    beta1: BelowOne = 0.9
    beta2: BelowOne = 0.999
    epsilon: Positive = 1e-8
    trust: Positive = 0.001

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, given: Any) -> Any:
        kind = given.get("kind", "sgd") if isinstance(given, dict) else None
        return {**RULES[kind], **given} if isinstance(kind, str) and kind in RULES else given

    def unused(self) -> dict[str, str]:
        """Each kind has its own keys."""
        found = {}
        for key in type(self).model_fields:
            if key != "kind" and key not in RULES[self.kind]:
                owners = " or ".join(show(kind) for kind, keys in RULES.items() if key in keys)
                found[key] = f"belongs to kind = {owners} and has no meaning with kind = {show(self.kind)}; remove it"
        return found

    def clashes(self) -> list[tuple[Keys, str]]:
        """Nesterov's step looks ahead along the velocity, so it needs one."""
        if self.kind == "sgd" and self.nesterov and self.momentum == 0:
            return [(("nesterov",), "is true, which needs a momentum above 0, such as momentum = 0.9")]
        return []


class ScheduleSettings(Section):
    """``[schedule]``: the learning rate over time; ``final`` is the cosine's last rate as a fraction of the first."""

    kind: Literal["constant", "step", "cosine"] = "constant"
    warmup_steps: CountOrZero = 0
    every_epochs: Count | None = None
    factor: Fraction = 0.1
    final: BelowOne = 0.0

    def unused(self) -> dict[str, str]:
        """Each kind has its own keys."""
        owners = {"every_epochs": "step", "factor": "step", "final": "cosine"}
        why = 'belongs to kind = "{}" and has no meaning with kind = {}; remove it'
        return {key: why.format(kind, show(self.kind)) for key, kind in owners.items() if kind != self.kind}

    def clashes(self) -> list[tuple[Keys, str]]:
        """A step schedule must say when it steps."""
        if self.kind == "step" and self.every_epochs is None:
            why = 'is "step", which needs every_epochs: the epochs after which the rate is multiplied by factor'
            return [(("kind",), why)]
        return []


class LossSettings(Section):
    """``[loss]``: what is minimised; ``auto`` is squared error for a regression, cross-entropy for classes."""

    kind: Literal["auto", "squared_error", "absolute_error", "huber", "cross_entropy"] = "auto"
    delta: Positive = 1.0
    label_smoothing: BelowOne = 0.0
    class_weights: Weights | None = None
    ignore_label: CountOrZero | None = None

    def unused(self) -> dict[str, str]:
        """``delta`` is Huber's own; the others belong to the cross-entropy."""
        owners = dict.fromkeys(("label_smoothing", "class_weights", "ignore_label"), "cross_entropy")
        others = {"delta": "huber"} | (owners if self.kind not in ("auto", "cross_entropy") else {})
        why = 'belongs to kind = "{}" and has no meaning with kind = {}; remove it'
        return {key: why.format(kind, show(self.kind)) for key, kind in others.items() if kind != self.kind}

    def clashes(self) -> list[tuple[Keys, str]]:
        """Some class must count."""
        if self.class_weights is not None and not any(self.class_weights):
            return [(("class_weights",), "holds no number above 0, so nothing would be learned")]
        return []


class ParallelSettings(Section):
    """``[parallel]``: micro-shards of a batch (None: one per rank), how gradients are summed, threads of a rank's BLAS.

    ``reduction``: by slices in shared memory (``node``), by MPI (``allreduce``), or ``auto``: the first if it can be.
    ``threads``: None leaves them to be chosen at launch.
    """

    shards: Count | None = None
    reduction: Literal["auto", "node", "allreduce"] = "auto"
    threads: Count | None = None


class CheckpointSettings(Section):
    """``[checkpoint]``: when to save (each of these that is given counts), and how many to keep besides the best."""

    every_steps: Count | None = None
    every_epochs: CountOrNever = 1
    every_minutes: Positive | None = None
    keep: Count = 3


class LogSettings(Section):
    """``[log]``: seconds between the lines of a log file."""

    interval: NotNegative = 10.0


class RunSettings(Section):
    """A whole run file."""

    model: ModelSettings
    data: DataSettings
    augment: AugmentSettings = AugmentSettings()
    train: TrainSettings = TrainSettings()
    loss: LossSettings = LossSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    parallel: ParallelSettings = ParallelSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    log: LogSettings = LogSettings()
