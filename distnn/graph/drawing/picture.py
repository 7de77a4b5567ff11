"""Drawings as SVG: text has the colour of the text around it, and all else the palette's."""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import pairwise

from distnn.graph.drawing.nested import ROW, TEXT, Piece, Point, extents, layout
from distnn.graph.drawing.palette import BLUE, FONT, GREY, ORANGE, RED, width
from distnn.graph.drawing.sketch import Box, Kind, Row, Sketch

#: The colours of the boxes, of which the insides are pale.
_COLOURS: dict[Kind, str] = {
    "input": "",
    "constant": GREY,
    "operation": ORANGE,
    "parameter": BLUE,
    "step": GREY,
    "layer": BLUE,
    "output": RED,
}
_MARGIN, _HEAD = 4.0, 7.0
#: A caption's lines are as long as the drawing is wide, and no shorter than this.
_CAPTION = 340.0
_WORDS = {"": "", "name": ' font-weight="bold"', "value": f' fill="{BLUE}"', "derivative": f' fill="{RED}"'}


def svg(sketch: Sketch) -> str:
    """The picture's text."""
    placed = layout(sketch)

    def turned(point: Point) -> Point:
        return point[::-1] if sketch.across else point

    wide, high = turned((placed.breadth, placed.length))
    parts = [_frame(*frame) for frame in placed.frames]
    parts += [_arrow([turned(point) for point in piece.points], piece, sketch.across) for piece in placed.pieces]
    parts += [_box(sketch.boxes[place], turned(point)) for place, point in placed.boxes.items()]
    parts += [_text(turned(point), [words]) for point, words in placed.labels]
    caption = _wrapped(sketch.caption, max(wide, _CAPTION))
    left = min(0.0, wide / 2 - max((width(line, TEXT) for line in caption), default=0.0) / 2)
    if caption:
        parts.append(_text((wide / 2, high + ROW * (len(caption) + 1) / 2), caption))
        high += ROW * (len(caption) + 0.5)
    box = (left - _MARGIN, -_MARGIN, wide - 2 * left + 2 * _MARGIN, high + 2 * _MARGIN)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{box[2]:.0f}" height="{box[3]:.0f}" '
        f'viewBox="{" ".join(f"{each:.0f}" for each in box)}" font-family="{FONT}" font-size="{TEXT:g}" '
        f'text-anchor="middle">\n<title>A computational graph</title>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _box(box: Box, at: Point) -> str:
    wide, high = extents(box)
    colour = _COLOURS[box.kind]
    fill = f'fill="{colour}" fill-opacity="0.15"' if colour else 'fill="none"'
    edge = (
        f'<rect x="{at[0] - wide / 2:.1f}" y="{at[1] - high / 2:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="6" '
        f'{fill} stroke="{colour or GREY}" stroke-width="1.2"/>'
    )
    return edge + _text(at, box.rows)


def _text(at: Point, rows: Sequence[Row | str]) -> str:
    """Rows of text around a point."""
    first = at[1] - ROW * (len(rows) - 1) / 2 + TEXT * 0.35
    return "".join(
        f'<text x="{at[0]:.1f}" y="{first + ROW * number:.1f}" fill="currentColor">{_spans(row)}</text>'
        for number, row in enumerate(rows)
    )


def _spans(row: Row | str) -> str:
    if isinstance(row, str):
        return html.escape(row)
    return "".join(
        f"<tspan{_WORDS[span.role]}>{html.escape(span.text)}</tspan>" if span.role else html.escape(span.text)
        for span in row
    )


def _frame(corner: Point, size: Point, title: Point, words: str) -> str:
    return (
        f'<rect x="{corner[0]:.1f}" y="{corner[1]:.1f}" width="{size[0]:.1f}" height="{size[1]:.1f}" rx="8" '
        f'fill="none" stroke="{GREY}" stroke-dasharray="4 3"/>'
        f'<text x="{title[0]:.1f}" y="{title[1]:.1f}" fill="currentColor" text-anchor="start">{html.escape(words)}'
        "</text>"
    )


def _arrow(points: list[Point], piece: Piece, across: bool) -> str:
    """A line, straight between two points, then bent to the next two; and its head."""
    end = points[-1]
    if piece.head:
        points[-1] = (end[0] - _HEAD, end[1]) if across else (end[0], end[1] - _HEAD)
        points[-2] = min(points[-2], points[-1], key=lambda point: point[not across])
    line = f"M{_at(points[0])}L{_at(points[1])}"
    for (_, a), (b, c) in pairwise(zip(points[::2], points[1::2], strict=True)):
        middle = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
        controls = [(middle[0], a[1]), (middle[0], b[1])] if across else [(a[0], middle[1]), (b[0], middle[1])]
        line += f"C{_at(controls[0])} {_at(controls[1])} {_at(b)}L{_at(c)}"
    drawn = f'<path d="{line}" fill="none" stroke="{GREY}" stroke-width="1.3"/>'
    if piece.head:
        tip = f"l-{_HEAD:g} -3.5v7z" if across else f"l-3.5 -{_HEAD:g}h7z"
        drawn += f'<path d="M{_at(end)}{tip}" fill="{GREY}"/>'
    return drawn


def _at(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _wrapped(lines: list[str], room: float) -> list[str]:
    """Lines that are broken between words where they would be wider than the drawing."""
    made: list[str] = []
    for line in lines:
        made.append("")
        for word in line.split():
            if made[-1] and width(f"{made[-1]} {word}", TEXT) > room:
                made.append(word)
            else:
                made[-1] = f"{made[-1]} {word}".strip()
    return made
