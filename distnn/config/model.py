"""The section ``[model]``: which network is trained."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from distnn.config.layers import Layers, incomplete, plain
from distnn.config.section import Activation, BelowOne, Channels, Count, Factory, Section, Widths, belongs
from distnn.config.text import Keys, either, show

#: The keys that each kind of model takes, with their defaults.
KINDS: dict[str, dict[str, Any]] = {
    "linear": {"initialization": "auto"},
    "logistic": {"initialization": "auto"},
    "softmax": {"initialization": "auto"},
    "mlp": {"hidden": (64,), "activation": "relu", "initialization": "auto"},
    "convnet": {
        "channels": (32, 64),
        "kernel": 3,
        "hidden": (128,),
        "dropout": 0.0,
        "activation": "relu",
        "initialization": "auto",
    },
    "resnet": {"depth": 14, "channels": (16, 32, 64), "shortcut": "projection", "activation": "relu"},
    "char-lstm": {"embedding": 64, "hidden": (64,), "cell": "lstm", "dropout": 0.0, "initialization": "auto"},
}
WAYS = f'kind = {either(KINDS)}; or [[model.layers]] tables; or factory = "module:function"'


class ModelSettings(Section):
    """``[model]``: exactly one of a ``kind``, a list of ``layers``, or a ``factory`` of the user's.

    The keys of a kind are the arguments of its builder in `distnn.models`, which explains them.
    """

    #: a network that distnn builds; its own keys are below
    kind: Literal["linear", "logistic", "softmax", "mlp", "convnet", "resnet", "char-lstm"] | None = None
    depth: Count = 14  #: how many layers have weights: 6 n + 2 for n blocks in each of three stages
    channels: Channels = (32, 64)  #: the filters of each convolution (convnet), or stage (resnet)
    kernel: Count = 3  #: the height and width of the filters
    #: around a block that changes the shape: a 1 × 1 convolution, or zeros for new channels
    shortcut: Literal["projection", "pad"] = "projection"
    embedding: Count = 64  #: the length of a character's vector
    hidden: Widths = (64,)  #: the units of each hidden, or recurrent, layer
    cell: Literal["lstm", "gru", "rnn"] = "lstm"  #: what a recurrent layer is made of
    dropout: BelowOne = 0.0  #: the rate before each dense, or behind each recurrent, layer; 0 for none
    activation: Activation = "relu"  #: after every layer but the last
    #: of the weights; auto is He's before a ReLU and its kin, and Glorot's otherwise
    initialization: Literal["auto", "glorot", "he"] = "auto"
    layers: Layers | None = None  #: instead of kind: a list of layers
    factory: Factory | None = None  #: instead of kind: a function of your own, module:function

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, given: Any) -> Any:
        kind = given.get("kind") if isinstance(given, dict) else None
        return {**KINDS[kind], **given} if isinstance(kind, str) and kind in KINDS else given

    @property
    def arguments(self) -> dict[str, Any]:
        """What the kind's builder is called with."""
        return {key: getattr(self, key) for key in KINDS.get(self.kind or "", ())}

    @property
    def flattens(self) -> bool:
        """Whether ``layers`` are to be given each sample as a vector."""
        return plain(self.layers or ())

    def _given(self) -> list[str]:
        return [key for key in ("kind", "layers", "factory") if getattr(self, key) is not None]

    def unused(self) -> dict[str, str]:
        """Each kind has its own keys; a factory initialises its weights itself."""
        if len(self._given()) != 1:
            return {}
        given = f"kind = {show(self.kind)}" if self.kind else "a factory" if self.factory else "[[model.layers]]"
        taken = KINDS[self.kind] if self.kind else ("initialization",) if self.layers else ()
        every = dict.fromkeys(key for keys in KINDS.values() for key in keys)
        words = {key: belongs(KINDS, key, given) for key in every if key not in taken}
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
        return [] if self.layers is None else incomplete("layers", self.layers, last=True)
