"""What all sections share: strict types whose words an error message prints, and the base of every section.

Types are strict: ``"3"`` is not 3 and ``true`` is not 1, but 1 may stand for 1.0. The words inside a type say what is
valid; an error message prints them (`distnn.config.explain`). Types of numbers are in `distnn.registry`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from distnn.config.text import Keys

Seed = Annotated[int, Field(ge=0, lt=2**63), "an integer from 0 to 2^63 - 1"]
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
# TOML has no null, so 0 is how a file says "never"; the field then holds None.
_ZERO_IS_NEVER = BeforeValidator(lambda value: None if type(value) is int and value == 0 else value)
CountOrNever = Annotated[int | None, Field(ge=1), _ZERO_IS_NEVER, "an integer of at least 1, or 0 for never"]


def clash(*found: tuple[Keys, str]) -> PydanticCustomError:
    """The error about values that contradict each other, each by its keys and why."""
    return PydanticCustomError("clash", "{found}", {"found": found})


class Section(BaseModel):
    """What all sections share: strict, frozen, no unknown keys, and checks that span several keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=())
    #: what the file is called, of a section that is a whole file
    file: ClassVar[str] = "run file"

    def unused(self) -> dict[str, str]:
        """The keys that have no meaning beside the others' values, each with the reason."""
        return {}

    @classmethod
    def stray(cls, key: str) -> str:
        """Why a key that the section doesn't take has no meaning in it; empty for one that nobody knows."""
        return ""

    def clashes(self) -> list[tuple[Keys, str]]:
        """Where a value contradicts another, and why."""
        return []

    def table(self, sequence: type[Any] = tuple) -> dict[str, Any]:
        """The keys that have a value, and a meaning beside the others, as plain values; lists are of this type."""
        unused = self.unused()
        values = {key: _plain(getattr(self, key), sequence) for key in type(self).model_fields if key not in unused}
        return {key: value for key, value in values.items() if value is not None}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        unused = [((key,), why) for key, why in self.unused().items() if key in self.model_fields_set]
        if found := [*self.clashes(), *unused]:
            raise clash(*found)
        return self


def _plain(value: Any, sequence: type[Any]) -> Any:
    if isinstance(value, Section):
        return value.table(sequence)
    return sequence(_plain(item, sequence) for item in value) if isinstance(value, tuple | list) else value
