"""Drawings of graphs: as SVG, and in DOT, the language of Graphviz, whose program ``dot`` makes other pictures of it.

A graph without parameters is drawn node by node, as the lecture does, with values and derivatives if wanted; a model
is drawn by the steps that its plan runs, with the parameters inside the steps that use them.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distnn import outputs
from distnn.errors import DistnnError, UsageError
from distnn.graph.drawing import dot, lesson, outline, picture
from distnn.graph.drawing.layers import Connection, Vertex, length
from distnn.graph.drawing.nested import extents
from distnn.graph.drawing.sketch import Arrow, Box, Sketch
from distnn.graph.node import Node, topological

#: What a drawing can be written as, by the file name's ending.
FORMATS = ("dot", "svg", "png", "pdf")

#: A lesson is drawn from left to right, unless it's wider: then its text would be too small on a phone.
_WIDEST = 480.0


@dataclass(frozen=True)
class Drawing:
    """A graph's picture. A notebook shows it; ``print`` shows its text.

    Attributes:
        sketch: what is drawn.
    """

    sketch: Sketch

    @property
    def dot(self) -> str:
        """The text in Graphviz's language."""
        return dot.text(self.sketch)

    @property
    def svg(self) -> str:
        """The picture as SVG."""
        return picture.svg(self.sketch)

    def __str__(self) -> str:
        return self.dot

    def _repr_svg_(self) -> str:
        return self.svg

    def render(self, kind: str) -> bytes:
        """The picture's bytes in the format ``kind``: svg, png or pdf.

        Raises:
            DistnnError: for png and pdf, if Graphviz's program ``dot`` is missing, or fails.
        """
        if kind == "svg":
            return self.svg.encode()
        if shutil.which("dot") is None:
            raise DistnnError(
                f"a drawing as .{kind} needs the program dot of Graphviz, which isn't on the PATH; as .svg it doesn't. "
                "Get dot with `apt install graphviz` (or dnf, brew, module load), or without root `conda install -c "
                "conda-forge graphviz`"
            )
        # Twice the 96 dots per inch that a PNG has by default: sharp on today's screens.
        command = ["dot", f"-T{kind}", *(["-Gdpi=192"] if kind == "png" else [])]
        done = subprocess.run(command, input=self.dot.encode(), capture_output=True, check=False)
        if done.returncode:
            words = " ".join(done.stderr.decode(errors="replace").split())
            raise DistnnError(f"Graphviz's dot -T{kind} failed with exit code {done.returncode}: {words}")
        return done.stdout

    def save(self, path: str | Path) -> Path:
        """Write the drawing to ``path``, as its ending says: .dot, .svg, .png or .pdf; an old one is replaced.

        Raises:
            UsageError: for another ending, or a folder that isn't there or can't be written to.
            DistnnError: for .png and .pdf, if Graphviz's program ``dot`` is missing; the text is then in a .dot file
                beside ``path``.
        """
        path = Path(path)
        kind = path.suffix.removeprefix(".")
        if kind not in FORMATS:
            raise UsageError(
                f"{path}: a drawing is written as .dot, .svg, .png or .pdf; give a name such as model.svg."
            )
        outputs.write(
            path, self.dot if kind == "dot" else self._render_or_keep(kind, path.with_suffix(".dot")), force=True
        )
        return path

    def _render_or_keep(self, kind: str, beside: Path) -> bytes:
        """`render`; where that fails, the text is written to ``beside``, so that the work isn't lost."""
        try:
            return self.render(kind)
        except DistnnError as error:
            outputs.write(beside, self.dot, force=True)
            raise DistnnError(
                f"{error}. Wrote {beside} instead; once dot is there: dot -T{kind} {beside} -o "
                f"{beside.with_suffix(f'.{kind}')}"
            ) from None


def draw(output: Node, /, *, values: bool = False, caption: str = "", **inputs: Any) -> Drawing:
    """Draw the graph of ``output``.

    >>> from distnn import graph
    >>> a, b, c = graph.inputs("a b c")
    >>> J = (3 * (a + b * c)).named("J")
    >>> drawing = graph.draw(J, values=True, a=5, b=3, c=2)  # drawing.save("J.svg") writes the picture
    >>> "3 · (a + b · c)" in drawing.dot and "∂J/∂c = 9" in drawing.dot
    True

    With ``values``, or without parameters, each node is drawn with its operation and name, and with ``values`` also
    with its value and, if the output is a scalar, the output's derivative with respect to it. A graph that has
    parameters is otherwise drawn by a plan's steps, with shapes, and parameter and FLOP counts (per sample, forward).

    Arguments:
        output: the node.
        values: compute the graph for ``inputs`` and show the numbers.
        caption: a line below the picture.
        inputs: with ``values``, a number or array for each of the graph's inputs, and for each parameter by its name.

    Raises:
        UsageError: if an input has no value, a value no input, or values are given without ``values=True``.
        ShapeError: if a value's shape doesn't fit.
    """
    if inputs and not values:
        raise UsageError("draw: values for the inputs were given; draw(…, values=True, …) shows them.")
    lines = caption.splitlines()
    if values or all(node.kind != "parameter" for node in topological([output])):
        boxes, arrows = lesson.body(output, inputs if values else None)
        return Drawing(Sketch(boxes, arrows, lines, across=_from_left_to_right(boxes, arrows) <= _WIDEST))
    boxes, arrows, counts = outline.body(output)
    return Drawing(Sketch(boxes, arrows, [*lines, counts]))


def _from_left_to_right(boxes: list[Box], arrows: list[Arrow]) -> float:
    """How wide a lesson is if it's drawn from left to right."""
    vertices = [Vertex(*extents(box)[::-1]) for box in boxes]
    return length(vertices, [Connection(vertices[arrow.source], vertices[arrow.target]) for arrow in arrows])
