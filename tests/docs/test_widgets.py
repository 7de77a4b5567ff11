"""The widgets, worked by mouse and keys in Chromium: what they then show is what distnn or numpy compute."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from distnn import graph
from distnn.ops.conv import convolution
from tests.docs.conftest import DOCS, Open, fresh

#: The widgets of each page.
WIDGETS = {
    f"lecture/{page.stem}": re.findall(r"^```\{widget\} (\w+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    for page in sorted(DOCS.glob("lecture/*.md"))
}
PAGES = [page for page, names in WIDGETS.items() if names]


def page_with(name: str) -> str:
    return next(page for page, names in WIDGETS.items() if name in names)


def live(page: Any, name: str, place: int = 0) -> Any:
    return page.locator(f'.widget-live[data-widget="{name}"]').nth(place)


def readout(widget: Any) -> str:
    return plain(widget.locator(".widget-readout").text_content())


def plain(text: str) -> str:
    return text.replace("−", "-")


def recorded(page: Any, name: str, place: int = 0) -> Any:
    """What the page holds for the widget."""
    return json.loads(live(page, name, place).locator("xpath=following-sibling::script").text_content())


def slide(widget: Any, label: str, value: float) -> None:
    """Move a slider as a reader's finger would."""
    slider = widget.get_by_role("slider", name=label, exact=True)
    slider.fill(str(value))
    assert float(slider.input_value()) == value


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", plain(text))]


def test_every_widget_is_on_a_page() -> None:
    files = {path.stem for path in (DOCS / "static" / "widgets").glob("*.js")} - {"shared"}
    assert {name for names in WIDGETS.values() for name in names} == files


def test_without_javascript_the_figure_is_seen(open_page: Open) -> None:
    page = open_page(PAGES[0], java_script_enabled=False)
    for name in PAGES:
        page.goto(fresh(name).as_uri())
        assert page.locator("figure.widget").count() == len(WIDGETS[name])
        assert all(each.is_visible() for each in page.locator("figure.widget > .row svg").all())
        assert all(each.is_hidden() for each in page.locator(".widget-live").all())


#: What is wrong with the page's widgets: figures beside them, controls that are small, outside or without a name.
TROUBLES = """
figures => figures.flatMap(figure => {
    const widget = figure.querySelector(".widget-live");
    const found = [];
    if (figure.querySelector(":scope > .row").offsetParent) found.push("the figure is seen, too");
    if (!widget.querySelector(".widget-readout[aria-live]")?.textContent) found.push("it says nothing");
    if (!widget.querySelector("svg")?.getAttribute("aria-label")) found.push("its picture has no name");
    for (const control of widget.querySelectorAll("button, input:not([type=radio]), select, .widget-choice span")) {
        const box = control.getBoundingClientRect();
        const tell = what => found.push(`${what}: ${control.outerHTML}`);
        if (Math.min(box.width, box.height) < 32) tell("too small for a finger");
        if (box.left < 0 || box.right > innerWidth) tell("outside of the screen");
        if (!(control.labels?.[0] ?? control).textContent) tell("without a name");
    }
    return found;
})
"""


@pytest.mark.parametrize("width", [390, 1600])
def test_widgets_replace_their_figures_and_fit(width: int, open_page: Open) -> None:
    page = open_page(PAGES[0], width=width, has_touch=width == 390)
    for name in PAGES:
        page.goto(fresh(name).as_uri())
        assert page.locator("figure.widget").evaluate_all(TROUBLES) == [], name


def test_graph_steps_shows_the_graphs_values_and_derivatives(open_page: Open) -> None:
    for name in PAGES:
        for place in range(WIDGETS[name].count("graph_steps")):
            page = open_page(name)
            widget, steps = live(page, "graph_steps", place), recorded(page, "graph_steps", place)["steps"]
            for values in ({"a": 5, "b": 3, "c": 2}, {"a": -1.5, "b": 4, "c": -0.25}):
                follow(widget, steps, values)


def follow(widget: Any, steps: list[dict[str, Any]], values: dict[str, float]) -> None:
    """From the start to the end and back."""
    nodes: dict[str, Any] = dict(zip(values, graph.inputs(" ".join(values)), strict=True))
    for step in steps:
        first, *others = [nodes.get(term, term) for term in step["of"]]
        for each in others:
            first = first + each if step["op"] == "add" else first * each
        nodes[step["name"]] = first.named(step["name"])
    run = graph.evaluate(nodes[steps[-1]["name"]], **values)
    for name, value in values.items():
        widget.get_by_label(f"{name} =").fill(str(value))
    widget.get_by_role("button", name="Step").click()
    assert readout(widget).startswith(f"Forward: {steps[0]['name']} = ")
    assert numbers(readout(widget))[-1] == run[steps[0]["name"]]
    widget.get_by_role("button", name="End").press("Enter")
    for name in nodes:
        node = widget.locator(f'[data-node="{name}"]')
        assert numbers(node.locator(".value").text_content()) == [round(run[name], 3)]
        assert numbers(node.locator(".slope").text_content()) == [round(run.gradient[name], 3)]
    for step in steps:
        for name in {term for term in step["of"] if isinstance(term, str)}:
            (rule,) = numbers(widget.locator(f'[data-edge="{name}>{step["name"]}"]').text_content())
            twice = sum(name in other["of"] for other in steps) > 1
            assert twice or rule * run.gradient[step["name"]] == pytest.approx(run.gradient[name], abs=0.01)
    widget.get_by_role("button", name="Back").click()
    assert not all(widget.locator("[data-node] .slope").all_text_contents())
    widget.get_by_role("button", name="Start").click()
    assert not any(widget.locator("[data-node] .slope").all_text_contents())


def test_one_parameter_takes_the_steps_of_gradient_descent(open_page: Open) -> None:
    page = open_page(page_with("one_parameter"))
    widget, data = live(page, "one_parameter"), recorded(page, "one_parameter")
    theta = graph.input("theta")
    samples = np.array(data["x"]), np.array(data["y"])
    J = (graph.sum((theta * samples[0] - samples[1]) ** 2) / len(samples[0])).named("J")
    for kind, rate in data["rates"].items():
        widget.get_by_text(kind, exact=True).click()
        value, costs = data["start"], []
        for steps in range(4):
            run = graph.evaluate(J, theta=value)
            costs.append(run["J"])
            found = re.match(
                r"After (\d) steps?: θ = (\S+), J = (\S+), slope = (\S+)\. Next: .* = (\S+)\.", readout(widget)
            )
            after = value - rate * run.gradient["theta"]
            expected = [steps, value, run["J"], run.gradient["theta"], after]
            assert [float(each) for each in found.groups()] == pytest.approx(expected, abs=0.00051)
            value = after
            widget.get_by_role("button", name="Step").click()
        assert ("diverge" in readout(widget)) == (costs[-1] > costs[0]) == (kind == "diverging")
    slide(widget, "α", data["rates"]["right"])
    assert widget.get_by_label("right", exact=True).is_checked() and readout(widget).startswith("After 0 steps")


def test_run_stops_at_the_minimum_at_once_where_nothing_may_move(open_page: Open) -> None:
    widget = live(open_page(page_with("one_parameter"), reduced_motion="reduce"), "one_parameter")
    widget.get_by_text("right", exact=True).click()
    widget.get_by_role("button", name="Run").click()
    assert "The slope is almost 0: the minimum." in readout(widget)


def table(widget: Any) -> list[list[int]]:
    rows = [row.locator("td").all_text_contents() for row in widget.locator("tr").all()[1:]]
    return [[int(cell) for cell in row] for row in rows]


def test_threshold_counts_what_is_right_and_wrong(open_page: Open) -> None:
    page = open_page(page_with("threshold"))
    widget, data = live(page, "threshold"), recorded(page, "threshold")
    hours, passed, probability = (np.array(data[key]) for key in ("hours", "passed", "probability"))
    for threshold in (0.5, 0.2, 0.85):
        slide(widget, "threshold", threshold)
        predicted = probability > threshold
        expected = [[int((predicted[passed == truth] == each).sum()) for each in (0, 1)] for truth in (0, 1)]
        assert table(widget) == expected
        said = numbers(readout(widget))
        assert said[2:] == [expected[0][0] + expected[1][1], len(passed), expected[0][1], expected[1][0]]
        order = np.argsort(hours)
        assert said[1] == pytest.approx(np.interp(threshold, probability[order], hours[order]), abs=0.02)


def test_hyperplane_divides_the_points_as_the_neuron_does(open_page: Open) -> None:
    page = open_page(page_with("hyperplane"))
    widget, data = live(page, "hyperplane"), recorded(page, "hyperplane")
    x, y = np.array(data["x"]), np.array(data["y"])

    def compare(w: Any, b: float) -> None:
        z = graph.input("x", (graph.N, 2)) @ np.array(w)[:, None] + b
        p = graph.evaluate(graph.sigmoid(z).named("p"), x=x)["p"][:, 0]
        assert table(widget) == [[int(((p > 0.5)[y == truth] == each).sum()) for each in (0, 1)] for truth in (0, 1)]
        cost = -np.mean(np.log(np.where(y, p, 1 - p)))
        assert numbers(readout(widget))[-1] == pytest.approx(cost, abs=0.00051)

    compare([1, 0], 0)
    for label, value in {"w₁": 0.5, "w₂": -1.25, "b": 0.4}.items():
        slide(widget, label, value)
    compare([0.5, -1.25], 0.4)
    widget.get_by_role("button", name="As trained by distnn").click()
    compare(data["w"], data["b"])


def test_activations_shows_values_and_slopes(open_page: Open) -> None:
    page = open_page(page_with("activations"))
    widget, data = live(page, "activations"), recorded(page, "activations")
    assert {"sigmoid", "tanh", "relu", "leaky_relu", "elu"} <= set(data["curves"])
    for name in ("tanh", "leaky_relu", "gelu"):
        widget.get_by_role("combobox").select_option(name)
        for place in (0, 61, 150):
            slide(widget, "x", place)
            node = graph.input("x")
            run = graph.evaluate(graph.activate(node, name).named("f"), x=data["x"][place])
            found = re.search(r"f\((\S+)\) = (\S+), and f′\(\S+\) = (\S+) ", readout(widget)).groups()
            expected = [data["x"][place], run["f"], run.gradient["x"]]
            assert [float(each) for each in found] == pytest.approx(expected, abs=0.0051)
    box = widget.locator("svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (40 + 310 * 0.25) / 360, box["y"] + 60)
    assert numbers(readout(widget))[0] == pytest.approx(-2, abs=0.06)


def test_convolution_shows_the_sums_of_distnns(open_page: Open) -> None:
    page = open_page(page_with("convolution"))
    widget, data = live(page, "convolution"), recorded(page, "convolution")
    image = np.array(data["image"], float)
    for name, kernel in data["filters"].items():
        widget.get_by_text(name, exact=True).click()
        x = graph.input("x", (graph.N, *image.shape, 1))
        op = convolution.Conv2D(padding="same")
        y = graph.apply(op, x, np.array(kernel, float)[:, :, None, None]).named("y")
        expected = graph.evaluate(y, x=image[None, :, :, None])["y"][0, :, :, 0].ravel()
        for place in (0, 9, 28, 63):
            slide(widget, "position", place + 1)
            assert numbers(readout(widget))[-1] == pytest.approx(expected[place], abs=0.0006)
            opacity = widget.locator(".sum").evaluate_all("all => all.map(each => +each.getAttribute('fill-opacity'))")
            seen = np.abs(expected) / np.abs(expected).max() * (np.arange(64) <= place)
            assert opacity == pytest.approx(seen.tolist(), abs=1e-6)
    widget.locator(".sum").nth(20).click()
    assert readout(widget).startswith("Row 3, column 5: ")
    widget.get_by_role("button", name="Step").click()
    assert readout(widget).startswith("Row 3, column 6: ")


def test_paths_are_where_the_steps_have_led(open_page: Open) -> None:
    page = open_page(page_with("paths"), reduced_motion="reduce")
    widget, data = live(page, "paths"), recorded(page, "paths")
    x, y = np.array(data["x"]), np.array(data["y"])

    def compare(seen: int) -> None:
        assert numbers(readout(widget))[0] == seen
        for kind, places in data["places"].items():
            steps = min(seen // data["batch"][kind], len(places) - 1)
            w, b = places[steps]
            found = numbers(widget.locator(f'[data-kind="{kind}"]').text_content())
            assert found == pytest.approx([steps, w, b, np.mean((w * x + b - y) ** 2)], abs=0.00051)

    compare(0)
    slide(widget, "samples seen", len(x) + 3)
    compare(len(x) + 3)
    widget.get_by_role("button", name=f"{data['batch']['mini-batch']} samples more").click()
    compare(len(x) + 3 + data["batch"]["mini-batch"])
    widget.get_by_role("button", name="Play").click()
    compare(4 * len(x))


def test_ranks_have_the_same_weight_after_the_step(open_page: Open) -> None:
    page = open_page(page_with("ranks"))
    widget, data = live(page, "ranks"), recorded(page, "ranks")
    gradients = np.array(data["gradients"])
    after = data["w"] - data["rate"] * gradients.mean()
    for count, parts in data["ranks"].items():
        assert [n for start, stop in parts for n in range(start, stop)] == list(range(len(gradients)))
        widget.get_by_text(f"{count} rank{'s' * (count != '1')}", exact=True).click()
        widget.get_by_role("button", name="Start").click()
        assert widget.locator(".gradient").count() == 0
        for _ in range(4):
            widget.get_by_role("button", name="Step").click()
        for rank, (start, stop) in enumerate(parts):
            shown = widget.locator(f'[data-rank="{rank}"]')
            assert [float(plain(each)) for each in shown.locator(".gradient").all_text_contents()] == pytest.approx(
                gradients[start:stop].tolist()
            )
            assert numbers(shown.locator(".own").text_content()) == pytest.approx([gradients[start:stop].sum()])
            assert numbers(shown.locator(".total").text_content()) == pytest.approx([gradients.sum()])
            assert numbers(shown.locator(".weight").text_content()) == pytest.approx([after], abs=0.00051)
        assert numbers(readout(widget))[-1] == pytest.approx(after, abs=0.00051)


def test_universal_shows_the_networks_errors(open_page: Open) -> None:
    page = open_page(page_with("universal"))
    widget, data = live(page, "universal"), recorded(page, "universal")
    x, target = np.array(data["x"]), np.array(data["target"])
    printed = (DOCS / "figures" / "12_universal_approximation.txt").read_text()
    errors = {int(units): float(error) for units, error in re.findall(r"(\d+) hidden.*error ([\d.]+)", printed)}
    assert list(errors) == [int(units) for units in data["learnt"]]

    widget.get_by_text("learnt by distnn").click()
    for place, (units, error) in enumerate(errors.items()):
        slide(widget, "hidden neurons", place)
        assert numbers(readout(widget))[0] == units
        assert numbers(readout(widget))[-1] == pytest.approx(error, abs=0.0011)

    widget.get_by_text("placed by hand").click()
    slide(widget, "hidden neurons", 0)
    found = [numbers(readout(widget))[-1]]
    for units in errors:
        plateaus = np.interp(-3 + (np.arange(units + 1) + 0.5) * 6 / (units + 1), x, target)
        steps = [np.tanh(8 * (units + 1) / 6 * (x + 3 - k * 6 / (units + 1))) for k in range(1, units + 1)]
        network = (plateaus[0] + plateaus[-1]) / 2 + np.diff(plateaus) / 2 @ steps
        assert found[-1] == pytest.approx(np.sqrt(np.mean((network - target) ** 2)), abs=0.0006)
        widget.get_by_role("slider", name="hidden neurons").press("ArrowRight")
        found.append(numbers(readout(widget))[-1])
    assert found[-1] < 0.1 < found[0]
