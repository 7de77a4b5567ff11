"""Networks as circles and arrows: a column for each layer, a circle for each neuron, an arrow for each weight.

It is SVG, drawn here, without another program: text and lines take the colour of the text around them.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from distnn import outputs
from distnn.arrays import Array
from distnn.errors import UsageError
from distnn.graph.drawing.columns import Column, columns
from distnn.graph.drawing.palette import BLUE, FONT, GREY, RED
from distnn.graph.node import Node

#: Circles: their radius and the distance between their centres. Longer columns are shortened to the first and last.
_RADIUS, _PITCH = 11, 32
_LONGEST, _FIRST, _LAST = 10, 5, 3
#: Between columns, and around everything; a row of text, and the width of a character at that size.
_GAP, _MARGIN, _ROW, _CHARACTER = 34, 10, 17, 7.0
_SHEETS, _STEP = 4, 6
#: More arrows between two columns than these are drawn pale.
_FEW = 40


@dataclass(frozen=True)
class NeuronDrawing:
    """A network's picture as circles and arrows. A notebook shows it; ``print`` shows its text.

    Attributes:
        svg: the picture.
    """

    svg: str

    def __str__(self) -> str:
        return self.svg

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> Path:
        """Write the picture to ``path``, which ends in .svg; an old one is replaced.

        Raises:
            UsageError: for another ending, or a folder that isn't there or can't be written to.
        """
        path = Path(path)
        if path.suffix != ".svg":
            raise UsageError(f"{path}: a drawing of neurons is written as .svg; give a name such as network.svg.")
        outputs.write(path, self.svg, force=True)
        return path


def draw_neurons(
    output: Node,
    /,
    *,
    weights: Mapping[str, Array] | None = None,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
) -> NeuronDrawing:
    """Draw the network that computes ``output`` as circles and arrows.

    >>> from distnn import graph
    >>> from distnn.layers import Dense, Sequential
    >>> network = Sequential(Dense(3, "tanh"), Dense(1, "sigmoid"))
    >>> drawing = graph.draw_neurons(network(graph.input("x", (graph.N, 2))))  # drawing.save("net.svg") writes it
    >>> drawing.svg.count("<circle")
    6

    Each neuron of a dense layer is a circle, with an arrow from each number that it reads; of long columns the first
    and the last circles are drawn. Images and maps are sheets, one for each channel, and a recurrent layer is a box
    whose output goes back to its input. A short cut past other layers is an arc.

    Arguments:
        weights: the arrays of the parameters by name, such as ``trained.parameters.value``: instead of arrows there are
            lines, blue for positive weights, red and dashed for negative ones, and thicker the larger the weight is.
        inputs, outputs: the names of the numbers in the first and the last column, if there are as many.

    Raises:
        UsageError: if the network reads no samples.
    """
    drawn = _arranged(columns(output))
    sketch = _Sketch(drawn)
    for place in drawn:
        for source in place.column.sources:
            sketch.join(drawn[source], place, weights or {})
    for place in drawn:
        sketch.put(place)
    for names, place, anchor in ((inputs, drawn[0], "end"), (outputs, drawn[-1], "start")):
        sketch.name(place, names, anchor)
    return NeuronDrawing(sketch.svg())


@dataclass(eq=False)
class _Placed:
    """A column and where it lies.

    Attributes:
        x: of its middle.
        width: of what is drawn, without the rows of text.
        ys: of its circles from the middle line; of other forms one, 0.
        units: which neuron each circle is.
        heading: what is written above.
    """

    column: Column
    x: float
    width: float
    ys: list[float]
    units: list[int]
    heading: str

    @property
    def height(self) -> float:
        """Of what is drawn, from the middle line."""
        if self.column.form == "neurons":
            return self.ys[-1] + _RADIUS
        return self.width / 2 if self.column.form != "recurrent" else 48


def _arranged(made: list[Column]) -> list[_Placed]:
    """The columns from left to right, each as wide as it or its text is."""
    placed: list[_Placed] = []
    right = float(_MARGIN)
    for number, column in enumerate(made):
        units = _units(column)
        heading = _heading(column, number, len(made))
        width = _width(column)
        taken = max([width, *(len(row) * _CHARACTER for row in (heading, *column.rows))])
        gaps = len(units) < (column.shape[0] if column.shape else 1) and column.form == "neurons"
        slots = [i + (gaps and i >= _FIRST) for i in range(len(units))]
        ys = [(slot - slots[-1] / 2) * _PITCH for slot in slots]
        placed.append(_Placed(column, right + taken / 2, width, ys, units, heading))
        right += taken + _GAP
    return placed


def _units(column: Column) -> list[int]:
    """The neurons of which circles are drawn; one place for another form."""
    if column.form != "neurons":
        return [0]
    count = column.shape[0] if column.shape else 1
    if count <= _LONGEST:
        return list(range(count))
    return [*range(_FIRST), *range(count - _LAST, count)]


def _heading(column: Column, number: int, count: int) -> str:
    if not column.sources:
        return "input"
    if number == count - 1:
        return "output"
    return "hidden" if column.counts else ""


def _width(column: Column) -> float:
    """Of what is drawn: larger images are larger, but not in proportion."""
    if column.form in ("neurons", "sum"):
        return 2 * _RADIUS
    if column.form == "recurrent":
        return 56
    return 14 + 10 * math.log2(1 + max(column.shape[:2], default=1)) + _STEP * (_sheets(column) - 1)


def _sheets(column: Column) -> int:
    """How many sheets are drawn for the channels of an image or map."""
    return min(column.shape[-1], _SHEETS) if len(column.shape) > 2 else 1


@dataclass(eq=False)
class _Sketch:
    """The parts of the picture, whose middle line is at y = 0, and how far they reach."""

    drawn: list[_Placed]
    parts: list[str] = field(default_factory=list)
    left: float = 0.0
    right: float = 0.0

    def __post_init__(self) -> None:
        self.bottom = max(place.height for place in self.drawn)
        self.top = -self.bottom
        last = self.drawn[-1]
        self.right = max(last.x + max([last.width, *(len(row) * _CHARACTER for row in last.column.rows)]) / 2, 0.0)

    def join(self, source: _Placed, place: _Placed, weights: Mapping[str, Array]) -> None:
        """The arrows from one column to another that reads it."""
        weight = place.column.weight
        if self.drawn.index(place) - self.drawn.index(source) > 1:
            self._arc(source, place)
        elif weight is not None and source.column.form == "neurons" and str(weight.name) in weights:
            self._weighted(source, place, np.asarray(weights[str(weight.name)]))
        else:
            # One to one where nothing is mixed; to and from a sheet or a box, all of its numbers.
            pairs = [(a, b) for a in source.ys for b in place.ys]
            if weight is None and len(source.ys) == len(place.ys):
                pairs = list(zip(source.ys, place.ys, strict=True))
            lines = " ".join(_arrow(source, a, place, b) for a, b in pairs)
            opacity = 0.5 if len(pairs) > _FEW else 1
            style = f'stroke="{GREY}" fill="{GREY}" stroke-width="0.8" opacity="{opacity}"'
            self.parts.append(f'<path d="{lines}" {style}/>')

    def _weighted(self, source: _Placed, place: _Placed, values: Array) -> None:
        largest = float(np.abs(values).max()) or 1.0
        for i, a in zip(source.units, source.ys, strict=True):
            for j, b in zip(place.units, place.ys, strict=True):
                w = float(values[i, j])
                colour, dashes = (BLUE, "") if w >= 0 else (RED, ' stroke-dasharray="5 3"')
                self.parts.append(
                    f'<path d="{_arrow(source, a, place, b, head=False)}" fill="none" stroke="{colour}"{dashes} '
                    f'stroke-width="{0.4 + 3 * abs(w) / largest:.2f}"><title>weight {w:.3g}</title></path>'
                )

    def _arc(self, source: _Placed, place: _Placed) -> None:
        """An arrow over the columns between."""
        start, end = -source.height, -place.height
        between = self.drawn[self.drawn.index(source) : self.drawn.index(place) + 1]
        over = -max(each.height for each in between) - 24
        self.top = min(self.top, over)
        # A Bézier curve reaches three quarters of the way to its control points.
        control = (over - (start + end) / 8) / 0.75
        x, y = place.x, end
        self.parts.append(
            f'<path d="M{source.x:.1f} {start:.1f}C{source.x:.1f} {control:.1f} {x:.1f} {control:.1f} {x:.1f} {y:.1f}" '
            f'fill="none" stroke="{GREY}" stroke-width="1.2"/>'
            f'<path d="M{x:.1f} {y:.1f}l-3 -7h6z" fill="{GREY}"/>'
        )

    def put(self, place: _Placed) -> None:
        """A column's circles, sheets or box, and the words above and below."""
        column, x = place.column, place.x
        ways = {"neurons": self._circles, "sheets": self._sheet, "recurrent": self._recurrent, "sum": self._sum}
        ways[column.form](place)
        if place.heading:
            self.parts.append(_text(x, self.top - 12, place.heading, "font-weight='bold'"))
        for row, words in enumerate(column.rows):
            self.parts.append(_text(x, self.bottom + 10 + _ROW * (row + 1), words))

    def _circles(self, place: _Placed) -> None:
        fill = BLUE if place.column.weight is not None else GREY
        for y in place.ys:
            self.parts.append(
                f'<circle cx="{place.x:.1f}" cy="{y:.1f}" r="{_RADIUS}" fill="{fill}" fill-opacity="0.25" '
                f'stroke="{fill}" stroke-width="1.5"/>'
            )
        if len(place.units) > 1 and place.units[-1] >= len(place.units):
            middle = (place.ys[_FIRST - 1] + place.ys[_FIRST]) / 2
            dots = "".join(f"M{place.x:.1f} {middle + step:.1f}h0" for step in (-8, 0, 8))
            self.parts.append(
                f'<path d="{dots}" fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round"/>'
            )

    def _sheet(self, place: _Placed) -> None:
        count = _sheets(place.column)
        side = place.width - _STEP * (count - 1)
        for number in range(count):
            x, y = place.x - place.width / 2 + _STEP * number, -place.width / 2 + _STEP * number
            self.parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}" rx="2" fill="{GREY}" '
                f'fill-opacity="0.2" stroke="{GREY}" stroke-width="1.5"/>'
            )

    def _recurrent(self, place: _Placed) -> None:
        x = place.x
        self.parts.append(
            f'<rect x="{x - 28:.1f}" y="-24" width="56" height="48" rx="8" fill="{BLUE}" fill-opacity="0.25" '
            f'stroke="{BLUE}" stroke-width="1.5"/>'
            f'<path d="M{x + 14:.1f} -24C{x + 30:.1f} -58 {x - 30:.1f} -58 {x - 15:.1f} -29" fill="none" '
            f'stroke="currentColor" stroke-width="1.5"/><path d="M{x - 14:.1f} -24l-5.5 -5.5 6 -3z" '
            f'fill="currentColor"/>'
        )

    def _sum(self, place: _Placed) -> None:
        x = place.x
        self.parts.append(
            f'<circle cx="{x:.1f}" cy="0" r="{_RADIUS}" fill="none" stroke="currentColor" stroke-width="1.5"/>'
            f'<path d="M{x - 6:.1f} 0h12M{x:.1f} -6v12" fill="none" stroke="currentColor" stroke-width="1.5"/>'
        )

    def name(self, place: _Placed, names: Sequence[str], anchor: str) -> None:
        """The names of a column's numbers, beside its circles."""
        if place.column.form != "neurons" or len(names) != (place.column.shape[0] if place.column.shape else 1):
            return
        side = -1 if anchor == "end" else 1
        x = place.x + side * (_RADIUS + 6)
        for unit, y in zip(place.units, place.ys, strict=True):
            self.parts.append(_text(x, y + 4, names[unit], f"text-anchor='{anchor}'"))
        end = x + side * _CHARACTER * max(len(names[unit]) for unit in place.units)
        self.left, self.right = min(self.left, end - _MARGIN), max(self.right, end)

    def svg(self) -> str:
        """The whole text."""
        rows = max(len(place.column.rows) for place in self.drawn)
        top, bottom = self.top - 30, self.bottom + 10 + _ROW * rows + _MARGIN
        width, height = self.right + _MARGIN - self.left, bottom - top
        words = "; ".join(", ".join(place.column.rows) or "sum" for place in self.drawn)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="{self.left:.0f} {top:.0f} {width:.0f} {height:.0f}">\n'
            f"<title>A network as circles and arrows</title>\n"
            f"<desc>From input to output: {html.escape(words)}.</desc>\n"
            f'<g font-family="{FONT}" font-size="13" text-anchor="middle">\n'
            + "\n".join(self.parts)
            + "\n</g>\n</svg>\n"
        )


def _arrow(source: _Placed, a: float, place: _Placed, b: float, *, head: bool = True) -> str:
    """A line from the edge of one thing to that of another, and perhaps a head."""
    x1, x2 = source.x, place.x
    distance = math.hypot(x2 - x1, b - a)
    cos, sin = (x2 - x1) / distance, (b - a) / distance
    if source.column.form in ("neurons", "sum"):
        x1, a = x1 + _RADIUS * cos, a + _RADIUS * sin
    else:
        x1 += source.width / 2
    if place.column.form in ("neurons", "sum"):
        x2, b = x2 - (_RADIUS + 1) * cos, b - (_RADIUS + 1) * sin
    else:
        x2 -= place.width / 2 + 1
    distance = math.hypot(x2 - x1, b - a) or 1.0
    cos, sin = (x2 - x1) / distance, (b - a) / distance
    line = f"M{x1:.1f} {a:.1f}L{x2:.1f} {b:.1f}"
    return line + (f"l{-6 * cos - 2 * sin:.1f} {-6 * sin + 2 * cos:.1f}l{4 * sin:.1f} {-4 * cos:.1f}z" if head else "")


def _text(x: float, y: float, words: str, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="currentColor" {extra}>{html.escape(words)}</text>'
