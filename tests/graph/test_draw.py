"""Drawings of graphs: what their boxes, edges and frames say, and how they are written."""

from __future__ import annotations

import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest

from distnn import graph
from distnn.errors import DistnnError, ShapeError, UsageError
from distnn.graph import N, Plan
from distnn.graph.drawing import palette
from distnn.layers import BatchNorm, Dense, Dropout, Flatten, Residual, Sequential
from distnn.layers.activation import Activation
from distnn.models import Model
from tests.support.dot import boxes, edges, frames, needs_dot, without_dot


def lesson() -> graph.Node:
    """The lecture's J = 3 (a + b c), with names for u = b c and v = a + u."""
    a, b, c = graph.inputs("a b c")
    u = (b * c).named("u")
    v = (a + u).named("v")
    return (3 * v).named("J")


def classifier(*layers, shape=(4, 4), classes=3) -> Model:
    return Model(Sequential(*layers), shape, task="classification", classes=[str(i) for i in range(classes)])


def formula(node: graph.Node) -> str:
    """The heading of the last box."""
    return list(boxes(graph.draw(node).dot).values())[-1][0]


def rows(drawing: graph.Drawing, heading: str) -> list[str]:
    (found,) = [rows for rows in boxes(drawing.dot).values() if rows[0] == heading]
    return found[1:]


# Lessons: values and derivatives


def test_the_lectures_example_has_value_and_derivative_at_each_node():
    drawing = graph.draw(lesson(), values=True, a=5, b=3, c=2)
    assert sorted(boxes(drawing.dot).values()) == [
        ["3"],
        ["J = 3 · v", "33", "∂J/∂J = 1"],
        ["a", "5", "∂J/∂a = 3"],
        ["b", "3", "∂J/∂b = 6"],
        ["c", "2", "∂J/∂c = 9"],
        ["u = b · c", "6", "∂J/∂u = 3"],
        ["v = a + u", "11", "∂J/∂v = 3"],
    ]
    assert {(source, target) for source, target, _ in edges(drawing.dot)} == {
        ("b", "u = b · c"),
        ("c", "u = b · c"),
        ("a", "v = a + u"),
        ("u = b · c", "v = a + u"),
        ("v = a + u", "J = 3 · v"),
        ("3", "J = 3 · v"),
    }


def test_nodes_without_names_show_their_formulas_and_derivatives_too():
    a, b, c = graph.inputs("a b c")
    drawing = graph.draw(3 * (a + b * c), values=True, a=5, b=3, c=2)
    assert rows(drawing, "b · c") == ["6", "∂J/∂(b · c) = 3"]
    assert rows(drawing, "a + b · c") == ["11", "∂J/∂(a + b · c) = 3"]
    assert rows(drawing, "3 · (a + b · c)")[0] == "33"


def test_drawing_leaves_the_graph_as_it_was():
    a, b = graph.inputs("a b")
    product = a * b
    J = product + a
    graph.draw(J, values=True, a=2, b=3)
    assert (product.name, J.name) == (None, None)
    assert graph.evaluate(J, a=2, b=3)["output"] == 8


def test_formulas_have_the_brackets_they_need_and_no_others():
    a, b, c = graph.inputs("a b c")
    assert formula(a - (b - c)) == "a − (b − c)"
    assert formula(a - b - c) == "a − b − c"
    assert formula((a + b) * c) == "(a + b) · c"
    assert formula(a * b + c) == "a · b + c"
    assert formula(a / (b * c)) == "a / (b · c)"
    assert formula(-(a + b)) == "−(a + b)"
    assert formula(-a * b) == "−a · b"
    assert formula((a * b) ** 2) == "(a · b)²"
    assert formula(graph.sigmoid(a + b) ** -0.5) == "sigmoid(a + b)⁻⁰·⁵"
    assert formula(graph.squared_error(a, b - c)) == "squared error(a, b − c)"


def test_long_formulas_are_cut_and_deep_graphs_drawn():
    J = graph.input("x")
    for _ in range(5000):
        J = J * 1.0001
    headings = [rows[0] for rows in boxes(graph.draw(J).dot).values()]
    assert max(map(len, headings)) <= 32
    assert headings[-1] == "… · 1.0001" or headings[-1] == "multiply"


def test_arrays_small_ones_are_written_out_large_ones_summed_up():
    x, w = graph.input("x", (N, 2)), graph.input("w", (2, 1))
    J = graph.sum(x @ w).named("J")
    drawing = graph.draw(J, values=True, x=[[1, 2], [3, 4]], w=[[0.5], [-1]])
    assert rows(drawing, "x") == ["[1  2]", "[3  4]", "∂J/∂x = [0.5  −1]", "[0.5  −1]"]
    assert rows(drawing, "x @ w") == ["[−1.5]", "[−2.5]", "∂J/∂(x @ w) = [1]", "[1]"]
    large = graph.draw(J, values=True, x=np.arange(20.0).reshape(10, 2), w=[[0.5], [-1]])
    assert rows(large, "x") == ["(10, 2), 0 … 19", "∂J/∂x = (10, 2), −1 … 0.5"]


def test_an_output_that_is_no_scalar_has_values_but_no_derivatives():
    x = graph.input("x", (N,))
    drawing = graph.draw(2 * x, values=True, x=[1, 2])
    assert rows(drawing, "2 · x") == ["[2  4]"]
    assert "∂" not in drawing.dot


def test_layers_in_a_lesson_take_their_parameters_by_name():
    x, t = graph.input("x", (N, 1)), graph.input("t", (N, 1))
    dense = Dense(1, name="neuron")
    J = graph.squared_error(dense(x), t).named("J")
    dense.roles["weight"].named("w")
    dense.roles["bias"].named("b")
    drawing = graph.draw(J, values=True, x=[[2]], t=[[1]], w=[[3]], b=[1])
    assert rows(drawing, "affine(x, w, b)") == ["[7]", "∂J/∂affine(x, w, b) = [12]"]
    assert rows(drawing, "w") == ["[3]", "∂J/∂w = [24]"]


def test_without_values_the_shapes_are_shown():
    x = graph.input("x", (N, 2))
    drawing = graph.draw((x + 1).named("y"))
    assert rows(drawing, "x") == rows(drawing, "y = x + 1") == ["(N, 2)"]


def test_names_of_any_letters():
    x = graph.input('a<b>&"c', ())
    drawing = graph.draw((x + 1).named("<B>"), caption="<&>")
    assert rows(drawing, 'a<b>&"c') == []
    assert "<B>&lt;B&gt;</B>&#160;= a&lt;b&gt;&amp;&quot;c + 1" in drawing.dot
    assert "label=<&lt;&amp;&gt;>" in drawing.dot


def test_wrong_inputs_are_refused():
    J = lesson()
    with pytest.raises(UsageError, match=r"draw: values for the inputs were given; draw\(…, values=True, …\) shows"):
        graph.draw(J, a=1)
    with pytest.raises(UsageError, match="the graph's input 'b' has no value"):
        graph.draw(J, values=True, a=1)
    with pytest.raises(UsageError, match="the graph has no input 'd'"):
        graph.draw(J, values=True, a=1, b=2, c=3, d=4)
    with pytest.raises(ShapeError, match=r"input 'a': expected shape \(\), found \(2,\)"):
        graph.draw(J, values=True, a=[1, 2], b=2, c=3)


# Models: shapes and counts


def test_a_model_has_a_box_for_each_step_with_its_counts():
    model = classifier(Flatten(), Dense(8, "relu"), Dense(3))
    drawing = graph.draw(model.loss, caption="a model")
    assert list(boxes(drawing.dot).values()) == [
        ["x"],
        ["y"],
        ["reshape"],
        ["dense1", "affine + relu", "136 parameters", "264 FLOP"],
        ["dense2", "affine", "27 parameters", "48 FLOP"],
        ["cross-entropy", "15 FLOP"],
    ]
    assert edges(drawing.dot) == {
        ("x", "reshape", "N × 4 × 4"),
        ("reshape", "dense1", "N × 16"),
        ("dense1", "dense2", "N × 8"),
        ("dense2", "cross-entropy", "N × 3"),
        ("y", "cross-entropy", "N"),
    }
    assert "label=<a model<BR/>163 parameters; 327 FLOP forward for a sample>" in drawing.dot


def test_the_totals_are_those_of_parameters_and_plan():
    model = classifier(Flatten(), Dense(600, "tanh"), BatchNorm(), Dropout(0.5), Residual(Dense(600, "gelu")), Dense(3))
    parameters = model.initialize()
    plan = Plan({"loss": model.loss}, batch=2, loss=model.loss, parameters=parameters)
    dot = graph.draw(model.loss).dot
    kflop = f"{plan.flops / 2000:.3g}"
    assert f"label=<{parameters.count:,} parameters and 1,200 running means; {kflop} kFLOP forward for a sample" in dot


def test_a_shared_layer_is_counted_once():
    layer = Dense(16, "tanh")
    model = classifier(Flatten(), Sequential(layer, layer), Dense(3))
    dot = graph.draw(model.loss).dot
    assert [rows[2] for rows in boxes(dot).values() if "affine + tanh" in rows] == ["272 parameters"] * 2
    assert f"label=<{model.initialize().count:,} parameters; " in dot


def test_blocks_are_framed_with_what_lies_between_their_layers():
    block = Sequential(Dense(16), BatchNorm(), Activation("relu"), Dense(16))
    dot = graph.draw(classifier(Flatten(), Residual(block), Dense(3)).loss).dot
    assert frames(dot) == {"residual1.block": ["dense1", "batchnorm1", "relu", "dense2"]}
    outside = {source for source, _, _ in edges(dot)} - {"dense1", "batchnorm1", "relu", "dense2"}
    assert outside == {"x", "y", "reshape", "add"}
    assert ("reshape", "add", "N × 16") in edges(dot)


def test_frames_in_frames():
    inner = Sequential(Dense(16), Dense(16, "relu"))
    outer = Sequential(Dense(16), inner, name="outer")
    dot = graph.draw(classifier(Flatten(), outer, Dense(3)).loss).dot
    assert frames(dot) == {"outer": ["dense1"], "outer.sequential1": ["dense1", "dense2"]}
    assert dot.index("cluster_outer.sequential1") < dot.index("\n  }\n  }")


def test_the_key_of_random_numbers_is_no_data():
    dot = graph.draw(classifier(Flatten(), Dropout(0.5), Dense(3)).loss).dot
    assert [rows[0] for rows in boxes(dot).values()] == ["x", "y", "reshape", "dropout1", "dense1", "cross-entropy"]


def test_free_form_graphs_with_parameters():
    weight = graph.parameter("w", (2,), lambda generator, shape: np.zeros(shape))
    x = graph.input("x", (N, 2))
    drawing = graph.draw(graph.sum((x * weight) * 0.5))
    assert list(boxes(drawing.dot).values()) == [
        ["x"],
        ["w", "multiply", "2 parameters", "2 FLOP"],
        ["multiply 0.5", "2 FLOP"],
        ["sum", "2 FLOP"],
    ]


# Files


@needs_dot
@pytest.mark.parametrize(("ending", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_pictures(tmp_path: Path, ending: str, begins: bytes):
    drawing = graph.draw(lesson(), values=True, a=5, b=3, c=2)
    path = drawing.save(tmp_path / f"J.{ending}")
    assert path.read_bytes().startswith(begins)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_the_picture_shows_what_the_text_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    without_dot(tmp_path / "empty", monkeypatch)
    model = classifier(Flatten(), Residual(Sequential(Dense(16, "relu"), Dense(16))), Dense(3))
    drawing = graph.draw(model.loss, caption="<all> of it")
    assert drawing.save(tmp_path / "model.svg").read_text(encoding="utf-8") == drawing._repr_svg_() == drawing.svg
    picture = xml.etree.ElementTree.fromstring(drawing.svg)
    texts = ["".join(text.itertext()) for text in picture.findall(".//{*}text")]
    said = [row for rows in boxes(drawing.dot).values() for row in rows]
    said += ["residual1.block", "<all> of it", "595 parameters; 1.17 kFLOP forward for a sample"]
    labels = [label for _, _, label in edges(drawing.dot)]
    assert sorted(texts) == sorted(said + labels)


def test_values_and_derivatives_have_their_colours():
    picture = xml.etree.ElementTree.fromstring(graph.draw(lesson(), values=True, a=5, b=3, c=2).svg)
    ink = {"".join(span.itertext()): span.get("fill") for span in picture.findall(".//{*}tspan")}
    assert ink["33"] == ink["6"] == palette.BLUE
    assert ink["∂J/∂b = 6"] == ink["∂J/∂J = 1"] == palette.RED
    assert {text.get("fill") for text in picture.findall(".//{*}text")} == {"currentColor"}


def test_a_lesson_that_would_be_wide_is_drawn_from_top_to_bottom():
    a, b = graph.inputs("a b")
    assert 'rankdir="LR"' in graph.draw(a + b, values=True, a=1, b=2).dot
    J = a + b
    for _ in range(6):
        J = graph.tanh(J)
    drawing = graph.draw(J, values=True, a=1, b=2)
    assert 'rankdir="TB"' in drawing.dot
    assert float(xml.etree.ElementTree.fromstring(drawing.svg).get("width", "")) < 480


def test_the_text_alone_needs_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    without_dot(tmp_path / "empty", monkeypatch)
    drawing = graph.draw(lesson())
    assert drawing.save(tmp_path / "J.dot").read_text(encoding="utf-8") == drawing.dot == str(drawing)


def test_without_graphviz_the_text_is_written_and_the_cure_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    without_dot(tmp_path / "empty", monkeypatch)
    drawing = graph.draw(lesson())
    with pytest.raises(DistnnError, match=r"as \.png needs .* as \.svg it doesn't\. .*apt install graphviz") as error:
        drawing.save(tmp_path / "J.png")
    assert error.value.exit_code == 1
    assert f"Wrote {tmp_path}/J.dot instead; once dot is there: dot -Tpng {tmp_path}/J.dot -o {tmp_path}/J.png" in str(
        error.value
    )
    assert (tmp_path / "J.dot").read_text(encoding="utf-8") == drawing.dot
    assert not (tmp_path / "J.png").exists()


def test_a_program_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\necho "no  fonts" >&2\nexit 3\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(DistnnError, match="Graphviz's dot -Tpng failed with exit code 3: no fonts. Wrote"):
        graph.draw(lesson()).save(tmp_path / "J.png")


def test_names_that_no_drawing_is_written_to(tmp_path: Path):
    drawing = graph.draw(lesson())
    for name in ("J", "J.h5", "J.toml"):
        with pytest.raises(UsageError, match=rf"{name}: a drawing is written as .dot, .svg, .png or .pdf; give a name"):
            drawing.save(tmp_path / name)
    with pytest.raises(UsageError, match="can't be written: there is no folder .*missing; create it first"):
        drawing.save(tmp_path / "missing" / "J.dot")
    assert list(tmp_path.iterdir()) == []
