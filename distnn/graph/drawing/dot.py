"""Drawings in DOT, the language of Graphviz, whose program ``dot`` turns them into pictures."""

from __future__ import annotations

import html

from distnn.graph.drawing.palette import BLUE, RED
from distnn.graph.drawing.sketch import Box, Group, Row, Sketch, Span, frames

_FONT = 'fontname="Helvetica,Arial,sans-serif"'
_STYLE = f"""\
  graph [bgcolor="white", ranksep=0.35, labelloc="b", fontsize=11, fontcolor="#555555", {_FONT}]
  node [shape="box", style="filled,rounded", color="#8a94a3", fillcolor="#ffffff", fontsize=12, {_FONT}]
  edge [color="#5b6573", fontcolor="#5b6573", fontsize=10, arrowsize=0.7, {_FONT}]
"""
_FILL = {
    "input": "#ffffff",
    "constant": "#f3f3f3",
    "operation": "#fdf3e1",
    "parameter": "#dbe9fb",
    "step": "#f3f3f3",
    "layer": "#dbe9fb",
    "output": "#fde3d3",
}


def text(sketch: Sketch) -> str:
    """The whole text."""
    lines = ["digraph {", f'  rankdir="{"LR" if sketch.across else "TB"}"', _STYLE.rstrip()]
    if sketch.caption:
        lines.append(f"  label=<{'<BR/>'.join(html.escape(line) for line in sketch.caption)}>")
    lines += _framed(sketch.boxes)
    for arrow in sketch.arrows:
        label = f' [label=" {arrow.label} "]' if arrow.label else ""
        lines.append(f"  n{arrow.source} -> n{arrow.target}{label}")
    return "\n".join([*lines, "}"]) + "\n"


def _framed(boxes: list[Box]) -> list[str]:
    """The boxes, those of a frame within it."""
    around = frames([box.group for box in boxes])

    def inside(frame: Group) -> list[str]:
        lines = [_box(place, box) for place, box in enumerate(boxes) if box.group == frame]
        for group in (group for group in around if around[group] == frame):
            title = html.escape(".".join(group[len(frame) :]))
            name = html.escape(".".join(group))
            lines.append(
                f'  subgraph "cluster_{name}" {{ label=<{title}>; labelloc="t"; labeljust="l"; color="#b9c2ce"'
            )
            lines += [*inside(group), "  }"]
        return lines

    return inside(())


def _box(place: int, box: Box) -> str:
    return f'  n{place} [label=<{"<BR/>".join(map(_row, box.rows))}>, fillcolor="{_FILL[box.kind]}"]'


def _row(row: Row) -> str:
    return "".join(map(_span, row))


def _span(span: Span) -> str:
    words = html.escape(span.text)
    if span.role == "name":
        return f"<B>{words}</B>"
    if span.role:
        return f'<FONT COLOR="{BLUE if span.role == "value" else RED}">{words}</FONT>'
    # A space that can't break: at the beginning of a piece of text, an SVG viewer drops a plain one.
    return f"&#160;{words[1:]}" if words.startswith(" ") else words
