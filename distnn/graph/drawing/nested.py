"""Where the boxes, arrows and frames of a sketch lie: a frame is laid out by itself, and is then a box around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise

from distnn.graph.drawing.layers import Connection, CycleError, Levels, Vertex, arrange
from distnn.graph.drawing.palette import width
from distnn.graph.drawing.sketch import Box, Group, Sketch, frames

#: The size of text, the distance of its rows, and the room around it in a box and in a frame.
TEXT, ROW, BESIDE, ABOVE, FRAME = 13.0, 17.0, 9.0, 6.0, 12.0
Point = tuple[float, float]
#: The extents of a box across and along.
Size = Callable[[Box], tuple[float, float]]


@dataclass
class Piece:
    """A part of an arrow: a line through points, straight within a rank and bent between two.

    Attributes:
        points: two for each straight part.
        head: whether it ends in a box, and not in the edge of a frame.
    """

    points: list[Point]
    head: bool


@dataclass
class Placement:
    """A drawing, or what is in a frame. Points are (across, along).

    Attributes:
        boxes: the centre of each box.
        frames: the upper left corner and the extents of each frame, where its title begins, and the title.
        labels: the centres and words of the arrows' labels.
        enters, leaves: where arrows from each box cross the beginning and the end of the frame.
    """

    breadth: float = 0.0
    length: float = 0.0
    boxes: dict[int, Point] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
    labels: list[tuple[Point, str]] = field(default_factory=list)
    frames: list[tuple[Point, Point, Point, str]] = field(default_factory=list)
    enters: dict[int, float] = field(default_factory=dict)
    leaves: dict[int, float] = field(default_factory=dict)

    def take(self, inner: Placement, at: Point) -> None:
        """Put a frame's layout into this one."""

        def moved(point: Point) -> Point:
            return point[0] + at[0], point[1] + at[1]

        self.boxes |= {place: moved(point) for place, point in inner.boxes.items()}
        self.pieces += [Piece([moved(point) for point in piece.points], piece.head) for piece in inner.pieces]
        self.labels += [(moved(point), words) for point, words in inner.labels]
        self.frames += [(moved(corner), size, moved(title), words) for corner, size, title, words in inner.frames]


def extents(box: Box) -> tuple[float, float]:
    """How wide and high a box is."""
    widest = max(sum(width(span.text, TEXT) for span in row) for row in box.rows)
    return widest + 2 * BESIDE, ROW * len(box.rows) + 2 * ABOVE


def layout(sketch: Sketch) -> Placement:
    """The layout of a whole sketch.

    A frame from which a path leads out and back in can't be drawn as one box: its boxes are drawn without it.
    """

    def size(box: Box) -> tuple[float, float]:
        return extents(box)[::-1] if sketch.across else extents(box)

    while True:
        around = frames([box.group for box in sketch.boxes])
        try:
            return _Level(sketch, around, size, ()).layout()
        except _FrameError as error:
            open_frame = error.args[0]
            boxes = [replace(box, group=around[open_frame]) if box.group == open_frame else box for box in sketch.boxes]
            sketch = replace(sketch, boxes=boxes)


class _FrameError(Exception):
    """A frame that can't be drawn as one box."""


class _Level:
    """What is within one frame, or in none."""

    def __init__(self, sketch: Sketch, around: dict[Group, Group], size: Size, group: Group) -> None:
        self.sketch, self.around, self.size, self.group = sketch, around, size, group
        self.inner = {
            frame: _Level(sketch, around, size, frame).framed() for frame, outer in around.items() if outer == group
        }
        self.items: dict[int | Group, Vertex] = {
            place: Vertex(*size(box)) for place, box in enumerate(sketch.boxes) if box.group == group
        }
        self.items |= {frame: Vertex(found.breadth, found.length) for frame, found in self.inner.items()}
        self.enters: dict[int, Vertex] = {}
        self.leaves: dict[int, Vertex] = {}

    def item(self, place: int) -> int | Group | None:
        """The box or frame of this level that holds a box; None if it's outside of this frame."""
        group = self.sketch.boxes[place].group
        if group == self.group:
            return place
        while group in self.around and self.around[group] != self.group:
            group = self.around[group]
        return group if group in self.inner else None

    def links(self) -> dict[tuple[Vertex, Vertex, int], tuple[Connection, str]]:
        """A link for each value that goes from one item to another, or through the edge of the frame."""
        made: dict[tuple[Vertex, Vertex, int], tuple[Connection, str]] = {}
        for arrow in self.sketch.arrows:
            source, target = self.item(arrow.source), self.item(arrow.target)
            if source == target:  # within one of its frames, or not in this one at all
                continue
            label = arrow.label
            if source is None or target is None:
                label = ""
            if source is None:
                self.enters.setdefault(arrow.source, Vertex(bend=True, pin="first"))
            if target is None:
                self.leaves.setdefault(arrow.source, Vertex(bend=True, pin="last"))
            a = self.enters[arrow.source] if source is None else self.items[source]
            b = self.leaves[arrow.source] if target is None else self.items[target]
            start = self.inner[source].leaves[arrow.source] if source in self.inner else None
            end = self.inner[target].enters[arrow.source] if target in self.inner else None
            start = start if start is None else start - a.breadth / 2
            end = end if end is None else end - b.breadth / 2
            room = (width(label, TEXT) + 4, ROW) if label else None
            if self.sketch.across and room:
                room = room[::-1]
            made.setdefault((a, b, arrow.source), (Connection(a, b, start, end, room), label))
        return made

    def layout(self) -> Placement:
        """The layout of this level, with all that is in its frames."""
        named = self.links()
        links = [link for link, _ in named.values()]
        everything = [*self.enters.values(), *self.items.values(), *self.leaves.values()]
        try:
            levels = arrange(everything, links)
        except CycleError:
            if not self.inner:
                raise
            raise _FrameError(max(self.inner, key=len)) from None
        made = Placement(levels.breadth, levels.ends[-1] if levels.ends else 0.0)
        for key, vertex in self.items.items():
            if isinstance(key, int):
                made.boxes[key] = (vertex.x, vertex.y + vertex.length / 2)
            else:
                made.take(self.inner[key], (vertex.x - vertex.breadth / 2, vertex.y))
        boxes = {self.items[key] for key in made.boxes if key in self.items}
        for link, label in named.values():
            made.pieces += _pieces(link, levels, link.target in boxes)
            if link.named:
                made.labels.append(((link.named.x, link.named.y + link.named.length / 2), label))
        made.enters = {place: vertex.x for place, vertex in self.enters.items()}
        made.leaves = {place: vertex.x for place, vertex in self.leaves.items()}
        return made

    def framed(self) -> Placement:
        """The layout with the frame around it, whose title keeps clear of the arrows that enter."""
        inside = self.layout()
        title = ".".join(self.group[len(self.around[self.group]) :])
        needs = width(title, TEXT) + 2 * FRAME
        shift = FRAME + max(0.0, needs - FRAME - min(inside.enters.values(), default=inside.breadth))
        made = Placement(max(shift + inside.breadth + FRAME, needs), inside.length + ROW + 2 * FRAME)
        begin = ROW + FRAME
        made.frames.append(((0.0, 0.0), (made.breadth, made.length), (FRAME, ROW), title))
        made.take(inside, (shift, begin))
        made.enters = {place: x + shift for place, x in inside.enters.items()}
        made.leaves = {place: x + shift for place, x in inside.leaves.items()}
        made.pieces += [Piece([(x, 0.0), (x, begin)], False) for x in made.enters.values()]
        end = begin + inside.length
        made.pieces += [Piece([(x, end), (x, made.length)], False) for x in made.leaves.values()]
        return made


def _pieces(link: Connection, levels: Levels, head: bool) -> list[Piece]:
    """A link's line, in two pieces if its label is between them."""
    pieces: list[list[Point]] = [[]]
    for a, b in pairwise(link.route):
        x = a.x + (link.start or 0.0) * (a is link.source)
        if a is link.source:
            pieces[-1] += [(x, a.y + a.length), (x, levels.ends[a.rank])]
        elif a is link.named:
            pieces.append([(x, a.y + a.length), (x, levels.ends[a.rank])])
        x = b.x + (link.end or 0.0) * (b is link.target)
        if b is link.target or b is link.named:
            pieces[-1] += [(x, levels.begins[b.rank]), (x, b.y)]
        else:
            pieces[-1] += [(x, levels.begins[b.rank]), (x, levels.ends[b.rank])]
    return [Piece(points, head and number == len(pieces) - 1) for number, points in enumerate(pieces)]
