"""Networks as circles and arrows: what is drawn for each kind of layer, and what the picture says."""

from __future__ import annotations

import re
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest

from distnn import graph
from distnn.errors import UsageError
from distnn.graph import N, Node
from distnn.layers import (
    LSTM,
    BatchNorm,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    GlobalAveragePool,
    Residual,
    Sequential,
    name_parameters,
)
from distnn.layers.activation import Activation

SVG = "{http://www.w3.org/2000/svg}"


def network(*layers, shape=(2,), integer=False) -> Node:
    output = Sequential(*layers)(graph.input("x", (N, *shape), integer=integer))
    name_parameters([output])
    return output


def parsed(output: Node, **options) -> xml.etree.ElementTree.Element:
    return xml.etree.ElementTree.fromstring(graph.draw_neurons(output, **options).svg)


def columns(picture: xml.etree.ElementTree.Element) -> list[str]:
    """What the description says of each column."""
    return picture.findtext(f"{SVG}desc").removeprefix("From input to output: ").removesuffix(".").split("; ")


def words(picture: xml.etree.ElementTree.Element) -> list[str]:
    return [text.text for text in picture.iter(f"{SVG}text")]


def arrows(picture: xml.etree.ElementTree.Element) -> int:
    """The lines with a head; an arc has none of its own."""
    return sum(len(re.findall(r"M[^M]*?L[^M]*?z", path.get("d"))) for path in picture.iter(f"{SVG}path"))


def test_a_dense_network_has_a_circle_for_each_neuron_and_an_arrow_for_each_weight():
    picture = parsed(network(Dense(3, "tanh"), Dense(4), Dense(1, "sigmoid")))
    assert columns(picture) == [
        "x, 2 numbers",
        "dense1, 3 neurons, tanh, 6 weights, 3 biases",
        "dense2, 4 neurons, 12 weights, 4 biases",
        "dense3, 1 neuron, sigmoid, 4 weights, 1 bias",
    ]
    assert len(list(picture.iter(f"{SVG}circle"))) == 2 + 3 + 4 + 1
    assert arrows(picture) == 6 + 12 + 4
    assert [word for word in words(picture) if word in ("input", "hidden", "output")] == [
        "input",
        "hidden",
        "hidden",
        "output",
    ]


@pytest.mark.parametrize(("units", "circles"), [(10, 10), (11, 8), (4096, 8)])
def test_long_columns_are_shortened_and_say_how_long_they_are(units, circles):
    picture = parsed(network(Dense(units), Dense(1)))
    assert len(list(picture.iter(f"{SVG}circle"))) == 2 + circles + 1
    assert arrows(picture) == 2 * circles + circles
    assert f"{units:,} neurons" in words(picture)
    assert ("h0M" in graph.draw_neurons(network(Dense(units), Dense(1))).svg) is (circles < units)


def test_parameters_without_names_are_counted_all_the_same():
    picture = parsed(Sequential(Dense(3))(graph.input("x", (N, 2))), weights={})
    assert columns(picture) == ["x, 2 numbers", "3 neurons, 6 weights, 3 biases"]


def test_weights_set_colour_and_thickness_of_the_arrows():
    output = network(Dense(2), Dense(1))
    values = {"dense1.weight": np.array([[1.0, -2.0], [0.0, 4.0]])}
    lines = [path for path in parsed(output, weights=values).iter(f"{SVG}path") if path.find(f"{SVG}title") is not None]
    by_weight = {line.findtext(f"{SVG}title"): line for line in lines}
    assert sorted(by_weight) == ["weight -2", "weight 0", "weight 1", "weight 4"]
    widths = [float(by_weight[f"weight {w}"].get("stroke-width")) for w in (0, 1, -2, 4)]
    assert widths == pytest.approx([0.4, 1.15, 1.9, 3.4])
    assert by_weight["weight -2"].get("stroke") != by_weight["weight 4"].get("stroke")
    assert [by_weight[f"weight {w}"].get("stroke-dasharray") for w in (-2, 4)] == ["5 3", None]


def test_shortened_columns_show_the_weights_of_the_circles_that_are_drawn():
    output = network(Dense(1), shape=(12,))
    lines = parsed(output, weights={"dense1.weight": np.arange(12.0)[:, None]}).iter(f"{SVG}title")
    assert [line.text for line in lines][1:] == [f"weight {i}" for i in (0, 1, 2, 3, 4, 9, 10, 11)]


def test_images_maps_and_flattening_are_what_they_are():
    picture = parsed(network(Conv2D(6, 3), Activation("relu"), Flatten(), Dense(2), shape=(8, 8, 1)))
    assert columns(picture) == [
        "x, 8 × 8 × 1",
        "conv2d1, 6 × 6 × 6, conv2d + relu, 54 weights, 6 biases",
        "216 numbers, flatten",
        "dense1, 2 neurons, 432 weights, 2 biases",
    ]
    assert len(list(picture.iter(f"{SVG}rect"))) == 1 + 4
    assert len(list(picture.iter(f"{SVG}circle"))) == 8 + 2


def test_a_recurrent_layer_is_a_box_with_its_steps():
    picture = parsed(network(Embedding(5, 3), LSTM(4), Dense(5), shape=(7,), integer=True))
    assert columns(picture)[0] == "x, 7, integers"
    assert columns(picture)[2].startswith("lstm1, 7 steps of 4, lstm, ")
    assert not list(picture.iter(f"{SVG}circle"))


def test_a_short_cut_is_an_arc_to_a_sum():
    block = Residual(Sequential(Conv2D(2, 3, padding="same"), BatchNorm(), Activation("relu")))
    picture = parsed(network(block, GlobalAveragePool(), Dense(1), shape=(4, 4, 2)))
    assert columns(picture) == [
        "x, 4 × 4 × 2",
        "residual1.block.conv2d1, 4 × 4 × 2, conv2d, batch norm, relu, 36 weights, 2 biases, 4 more parameters",
        "sum",
        "2 numbers, global average pool",
        "dense1, 1 neuron, 2 weights, 1 bias",
    ]
    assert len([path for path in picture.iter(f"{SVG}path") if "C" in path.get("d")]) == 1


def test_names_of_inputs_and_outputs_are_beside_their_circles_and_escaped():
    output = network(Dense(1))
    picture = parsed(output, inputs=["hours", "a < b & c"], outputs=["passed"])
    assert {"hours", "a < b & c", "passed"} <= set(words(picture))
    left, _, width, _ = map(float, picture.get("viewBox").split())
    for text in picture.iter(f"{SVG}text"):
        if text.get("text-anchor") == "end":
            assert float(text.get("x")) - 6 * len(text.text) > left
        if text.get("text-anchor") == "start":
            assert float(text.get("x")) + 6 * len(text.text) < left + width
    assert "hours" not in words(parsed(output, inputs=["hours"]))  # as many as there are, or none


def test_the_picture_has_a_title_and_takes_the_texts_colour(tmp_path: Path):
    drawing = graph.draw_neurons(network(Dense(1)))
    path = drawing.save(tmp_path / "net.svg")
    picture = xml.etree.ElementTree.parse(path).getroot()
    assert picture.get("role") == "img"
    assert picture[0].tag == f"{SVG}title" and picture[0].text
    assert {text.get("fill") for text in picture.iter(f"{SVG}text")} == {"currentColor"}
    assert drawing._repr_svg_() == path.read_text(encoding="utf-8") == str(drawing)
    assert "{" not in str(drawing), "a place of the text that nothing was put in"


def test_what_can_not_be_drawn_is_said(tmp_path: Path):
    with pytest.raises(UsageError, match=r"net\.png: a drawing of neurons is written as \.svg"):
        graph.draw_neurons(network(Dense(1))).save(tmp_path / "net.png")
    a, b = graph.inputs("a b")
    with pytest.raises(UsageError, match="no input of samples"):
        graph.draw_neurons(a * b)
