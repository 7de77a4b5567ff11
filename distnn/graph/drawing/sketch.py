"""What a drawing of a graph shows, before it is laid out: boxes, arrows between them, and frames around boxes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

#: What a box is, by which it is coloured.
Kind = Literal["input", "constant", "operation", "parameter", "step", "layer", "output"]
#: The words of a frame's dotted name; none for what is in no frame.
Group = tuple[str, ...]


class Span(NamedTuple):
    """A piece of a row of text; the row begins in bold with a name, or is a value or a derivative."""

    text: str
    role: Literal["", "name", "value", "derivative"] = ""


Row = tuple[Span, ...]


@dataclass(frozen=True)
class Box:
    """A box with rows of text, in the frame ``group``."""

    kind: Kind
    rows: list[Row]
    group: Group = ()


@dataclass(frozen=True)
class Arrow:
    """An arrow between two boxes, by their places, with a label or without."""

    source: int
    target: int
    label: str = ""


@dataclass(frozen=True)
class Sketch:
    """All of a drawing.

    Attributes:
        boxes, arrows: each arrow goes from a box to a later one.
        caption: the lines below.
        across: whether it is drawn from left to right, and not from top to bottom.
    """

    boxes: list[Box]
    arrows: list[Arrow]
    caption: list[str] = field(default_factory=list)
    across: bool = False


def frames(groups: list[Group]) -> dict[Group, Group]:
    """For each frame the nearest one around it; the empty group is around all."""
    found = sorted({group for group in groups if group})
    return {
        group: max((other for other in found if group != other == group[: len(other)]), key=len, default=())
        for group in found
    }
