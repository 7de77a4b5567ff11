"""The section ``[model]``: which network is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from distnn.config.kinds import KindSettings, OneOf, belongs, checked, choose, incomplete, tables_of
from distnn.config.section import Factory, Section, clash
from distnn.config.text import Keys, either
from distnn.layers import Layer
from distnn.models.kinds import MODELS
from distnn.registry import Initialization

if TYPE_CHECKING:
    Layers = tuple[KindSettings, ...]
else:
    Layers = tables_of(Layer.family)


class LayersSettings(Section):
    """``[model]`` with a list of layers."""

    layers: Layers  #: instead of kind: a list of layers
    initialization: Initialization = "auto"

    @classmethod
    def stray(cls, key: str) -> str:
        """The keys of a kind."""
        why = belongs(MODELS, key, "[[model.layers]]")
        return f"{why}, or give one to each layer" if key == "activation" else why

    def clashes(self) -> list[tuple[Keys, str]]:
        """Units for all layers but the last."""
        return incomplete("layers", self.layers, last=True)


class FactorySettings(Section):
    """``[model]`` with a function of the user's."""

    factory: Factory  #: instead of kind: a function of your own, module:function

    @classmethod
    def stray(cls, key: str) -> str:
        """The keys of a kind; a factory initialises its weights itself."""
        if key == "initialization":
            return "has no meaning with a factory, which makes its own weights; remove it"
        return belongs(MODELS, key, "a factory")


#: What a section may say instead of a kind.
OTHERS: dict[str, type[Section]] = {"layers": LayersSettings, "factory": FactorySettings}


def _model(given: Any) -> Section:
    """The section that a table is: exactly one of a kind, a list of layers, or a factory."""
    if isinstance(given, Section):
        return given
    if not isinstance(given, Mapping):
        raise PydanticCustomError("value", "no table")
    ways = [way for way in ("kind", *OTHERS) if way in given]
    if len(ways) == 1:
        return choose(MODELS, given) if ways == ["kind"] else checked(OTHERS[ways[0]], given)
    if ways:
        raise clash(((ways[-1],), f"stands beside {ways[0]}, but each says what to build; keep one of them"))
    every = f'kind = {either(MODELS.kinds)}; or [[model.layers]] tables; or factory = "module:function"'
    raise clash(((), f"must say what to build: {every}"))


ModelSettings = Annotated[Section, PlainValidator(_model), OneOf(MODELS)]
