"""Where the parts of a drawing lie: nothing covers anything else, whatever the graph is."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distnn.graph.drawing.layers import Connection, CycleError, Vertex, arrange
from distnn.graph.drawing.nested import ROW, TEXT, Placement, extents, layout
from distnn.graph.drawing.palette import width
from distnn.graph.drawing.picture import svg
from distnn.graph.drawing.sketch import Arrow, Box, Sketch, Span

Area = tuple[float, float, float, float]


def around(centre: tuple[float, float], size: tuple[float, float]) -> Area:
    (x, y), (wide, high) = centre, size
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def meet(a: Area, b: Area) -> bool:
    return a[0] < b[2] - 1e-6 and b[0] < a[2] - 1e-6 and a[1] < b[3] - 1e-6 and b[1] < a[3] - 1e-6


def within(a: Area, b: Area) -> bool:
    return b[0] <= a[0] and b[1] <= a[1] and a[2] <= b[2] and a[3] <= b[3]


def box(words: str, *group: str, rows: int = 1) -> Box:
    return Box("step", [(Span(words),)] * rows, group)


@st.composite
def sketches(draw: st.DrawFn) -> Sketch:
    """Graphs whose arrows go from earlier to later boxes; runs of boxes are framed, some in a frame in a frame."""
    count = draw(st.integers(1, 12))
    groups: list[tuple[str, ...]] = []
    for number in range(4):
        group = draw(st.sampled_from([(), (f"block{number}",), (f"block{number}", "inner"), ("a.very.long.title",)]))
        groups += [group] * draw(st.integers(1, 4))
    boxes = [
        box(draw(st.sampled_from(["x", "add", "4,160 parameters"])), *groups[i % len(groups)], rows=1 + i % 3)
        for i in range(count)
    ]
    pairs = draw(st.sets(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=2 * count))
    label = draw(st.sampled_from(["", "N × 16"]))
    return Sketch(boxes, [Arrow(a, b, label) for a, b in sorted(pairs) if a < b], across=draw(st.booleans()))


@settings(max_examples=60, deadline=None)
@given(sketches())
def test_boxes_labels_and_frames_are_apart(sketch: Sketch) -> None:
    placed = layout(sketch)
    turn = -1 if sketch.across else 1
    areas = [around(placed.boxes[i], extents(box)[::turn]) for i, box in enumerate(sketch.boxes)]
    labels = [around(at, (width(words, TEXT), ROW)[::turn]) for at, words in placed.labels]
    for a, b in combinations(areas + labels, 2):
        assert not meet(a, b)
    edges = [(x, y, x + wide, y + high) for (x, y), (wide, high), _, _ in placed.frames]
    for a, b in combinations(edges, 2):
        assert not meet(a, b) or within(a, b) or within(b, a)
    for area in areas + labels:
        assert within(area, (-1e-6, -1e-6, placed.breadth + 1e-6, placed.length + 1e-6))
        for edge in edges:
            assert not meet(area, edge) or within(area, edge)


@settings(max_examples=60, deadline=None)
@given(sketches())
def test_each_arrow_leads_from_its_box_to_its_box(sketch: Sketch) -> None:
    """Its pieces join, from the end of one box to the beginning of another; what is framed twice is drawn once."""
    placed = layout(sketch)
    turn = -1 if sketch.across else 1
    heads = [piece.points[-1] for piece in placed.pieces if piece.head]
    assert len(heads) == len(sketch.arrows)
    size = [extents(box)[::turn] for box in sketch.boxes]
    begins = {i: (x, y - size[i][1] / 2) for i, (x, y) in placed.boxes.items()}
    for arrow in sketch.arrows:
        x, y = begins[arrow.target]
        arriving = [head for head in heads if abs(head[1] - y) < 1e-6 and abs(head[0] - x) < size[arrow.target][0] / 2]
        assert len(arriving) == sum(each.target == arrow.target for each in sketch.arrows)
        assert placed.boxes[arrow.source][1] < placed.boxes[arrow.target][1]


@settings(max_examples=30, deadline=None)
@given(sketches())
def test_no_line_crosses_a_box_or_a_label(sketch: Sketch) -> None:
    """Lines are straight beside boxes, and bent only between ranks."""
    placed = layout(sketch)
    turn = -1 if sketch.across else 1
    areas = [around(placed.boxes[i], extents(box)[::turn]) for i, box in enumerate(sketch.boxes)]
    areas += [around(at, (width(words, TEXT), ROW)[::turn]) for at, words in placed.labels]
    for piece in placed.pieces:
        for (x, begin), (_, end) in zip(piece.points[::2], piece.points[1::2], strict=True):
            for area in areas:
                assert not meet((x - 0.5, begin, x + 0.5, end), area)


def frames_of(placed: Placement) -> list[str]:
    return [title for _, _, _, title in placed.frames]


def test_a_frame_that_a_path_leaves_and_enters_again_is_left_out() -> None:
    boxes = [box("a", "block"), box("b"), box("c", "block")]
    assert frames_of(layout(Sketch(boxes, [Arrow(0, 1), Arrow(1, 2)]))) == []
    assert frames_of(layout(Sketch(boxes, [Arrow(0, 1), Arrow(0, 2)]))) == ["block"]


def test_a_chain_is_straight_and_so_is_a_long_arrow_beside_it() -> None:
    chain = [box("word" * (1 + number % 3)) for number in range(6)]
    placed = layout(Sketch(chain, [*(Arrow(i, i + 1) for i in range(5)), Arrow(0, 5)]))
    (long,) = [piece.points for piece in placed.pieces if len(piece.points) > 4]
    for line in (list(placed.boxes.values()), long[2:-2]):
        assert max(x for x, _ in line) - min(x for x, _ in line) < 1


def test_crossings_that_need_not_be_are_not_there() -> None:
    """Two to two, given crosswise: the second rank is turned round."""
    left, right = [Vertex(20, 20) for _ in range(2)], [Vertex(20, 20) for _ in range(2)]
    arrange(left + right, [Connection(left[0], right[1]), Connection(left[1], right[0])])
    assert (left[0].x < left[1].x) == (right[1].x < right[0].x)


def test_links_in_a_circle_are_refused() -> None:
    a, b = Vertex(), Vertex()
    with pytest.raises(CycleError):
        arrange([a, b], [Connection(a, b), Connection(b, a)])


def test_one_drawing_has_one_text() -> None:
    sketch = Sketch([box("a"), box("b", "f"), box("c", "f")], [Arrow(0, 1, "N"), Arrow(1, 2, "N")], ["<&>"])
    assert svg(sketch) == svg(sketch)
    assert "&lt;&amp;&gt;" in svg(sketch)
