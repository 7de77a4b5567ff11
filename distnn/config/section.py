"""What all sections share: strict types whose words an error message prints, and the base of every section.

Types are strict: ``"3"`` is not 3 and ``true`` is not 1, but 1 may stand for 1.0. The words inside a type say what is
valid; an error message prints them (`distnn.config.explain`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from distnn.config.text import Keys, either

Count = Annotated[int, Field(ge=1), "an integer of at least 1"]
CountOrZero = Annotated[int, Field(ge=0), "an integer of at least 0"]
Seed = Annotated[int, Field(ge=0, lt=2**63), "an integer from 0 to 2^63 - 1"]
Positive = Annotated[float, Field(gt=0), "a finite number above 0"]
NotNegative = Annotated[float, Field(ge=0), "a finite number of at least 0"]
BelowOne = Annotated[float, Field(ge=0, lt=1), "a number of at least 0 and below 1"]
Fraction = Annotated[float, Field(gt=0, le=1), "a number above 0, up to 1"]
Number = Annotated[float, "a finite number"]
Text = Annotated[str, Field(min_length=1), "text in quotation marks"]
Word = Annotated[str, Field(pattern=r"^[^\s-]\S*$"), "text in quotation marks, without spaces"]
Line = Annotated[str, Field(pattern=r"^.+$"), "text of one line"]
Lines = Annotated[tuple[Line, ...], Field(strict=False), "a list of texts of one line each"]
Option = Annotated[
    str, Field(pattern=r"^--?[A-Za-z][\w-]*(=[\w:.,/@+-]*)?$"), 'an option such as "--hint=nomultithread"'
]
Options = Annotated[tuple[Option, ...], Field(strict=False), 'a list of options, such as ["--hint=nomultithread"]']
Factory = Annotated[
    str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"), 'text such as "module:function"'
]
Widths = Annotated[tuple[Count, ...], Field(strict=False), "a list of integers of at least 1, such as [64, 32]"]
Weights = Annotated[
    tuple[NotNegative, ...], Field(strict=False), "a list of numbers of at least 0, one per class, such as [1.0, 2.5]"
]
Channels = Annotated[
    tuple[Count, ...],
    Field(strict=False, min_length=1),
    "a list of one or more integers of at least 1, such as [16, 32, 64]",
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
    #: what the file is called, of a section that is a whole file
    file: ClassVar[str] = "run file"

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


def belongs(owners: Mapping[str, Mapping[str, object]], key: str, given: str) -> str:
    """Why ``key`` is unused beside what is ``given``: whose it is, by the table of the keys that each kind takes."""
    theirs = either(owner for owner, keys in owners.items() if key in keys)
    return f"belongs to kind = {theirs} and has no meaning with {given}; remove it"
