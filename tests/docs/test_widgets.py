"""The widgets, worked by mouse and keys in Chromium: what they then show is what distnn or numpy compute."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from distnn import graph
from tests.docs.conftest import DOCS, Open

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


@pytest.mark.parametrize("name", PAGES)
def test_without_javascript_the_figure_is_seen(name: str, open_page: Open) -> None:
    page = open_page(name, java_script_enabled=False)
    for figure in page.locator("figure.widget").all():
        assert figure.locator(".widget-live").is_hidden()
        assert figure.locator(":scope > .row svg").first.is_visible()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [390, 1600])
def test_widgets_replace_their_figures_and_fit(name: str, width: int, open_page: Open) -> None:
    page = open_page(name, width=width, has_touch=width == 390)
    figures = page.locator("figure.widget").all()
    assert len(figures) == len(WIDGETS[name])
    for figure in figures:
        assert figure.locator(":scope > .row").is_hidden()
        widget = figure.locator(".widget-live")
        assert readout(widget) and widget.locator("svg").first.get_attribute("aria-label")
        for control in widget.locator(":is(button, input):not([type=radio])").all():
            box = control.bounding_box()
            assert box["height"] >= 32 and box["width"] >= 32, control.evaluate("element => element.outerHTML")
            assert box["x"] >= 0 and box["x"] + box["width"] <= width
            assert control.evaluate("element => element.labels?.[0]?.textContent || element.textContent")


@pytest.mark.parametrize("values", [{"a": 5, "b": 3, "c": 2}, {"a": -1.5, "b": 4, "c": -0.25}])
def test_graph_steps_shows_the_graphs_values_and_derivatives(values: dict[str, float], open_page: Open) -> None:
    page = open_page(page_with("graph_steps"))
    for place in range(WIDGETS[page_with("graph_steps")].count("graph_steps")):
        widget = live(page, "graph_steps", place)
        steps = recorded(page, "graph_steps", place)["steps"]
        inputs = dict(zip(values, graph.inputs(" ".join(values)), strict=True))
        nodes: dict[str, Any] = dict(inputs)
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
        widget.get_by_role("button", name="Back").click()
        assert not all(widget.locator(f'[data-node="{name}"] .slope').text_content() for name in nodes)
        widget.get_by_role("button", name="Start").click()
        assert not any(widget.locator(f'[data-node="{name}"] .slope').text_content() for name in nodes)


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
