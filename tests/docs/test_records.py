"""What a script records for a widget, and how it comes to the page."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from distnn import graph

pytest.importorskip("sphinx", reason="the pages' tools are missing; pip install '.[docs]'")
sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "examples"))
sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "extensions"))

import lecture
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

DOCS = Path(__file__).parents[2] / "docs"
PAGE = """# A page

```{{widget}} {name}
:data: numbers.json
:figure: drawing.svg
:alt: What is seen.

A caption with $x$.
```
"""


def test_numbers_are_rounded_and_arrays_are_lists(tmp_path: Path) -> None:
    given = {"a": np.array([[1 / 3, -0.0], [2.0, 1e-12]]), 4: np.int64(7), "c": {"d": (True, "text", None, range(2))}}
    lecture.record(tmp_path / "numbers.json", given)
    text = (tmp_path / "numbers.json").read_text()
    assert text == '{"a":[[0.333333,0],[2,1e-12]],"4":7,"c":{"d":[true,"text",null,[0,1]]}}\n'


def test_numbers_that_no_page_could_draw_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        lecture.record(tmp_path / "numbers.json", {"a": float("nan")})


def test_a_graphs_steps_are_its_named_sums_and_products() -> None:
    a, b = graph.inputs("a b")
    u = (2 * a * b).named("u")
    steps = lecture.graph_steps((u + a + 1).named("J"), a=3, b=4)
    assert steps["inputs"] == {"a": 3, "b": 4}
    assert steps["steps"] == [
        {"name": "u", "op": "multiply", "of": [2, "a", "b"]},
        {"name": "J", "op": "add", "of": ["u", "a", 1]},
    ]
    with pytest.raises(ValueError, match="it shows one sum or product for each name"):
        lecture.graph_steps((a + 2 * b).named("J"), a=3, b=4)


def build(folder: Path, name: str) -> tuple[str, str]:
    """A page with one widget, and what the build said."""
    (folder / "conf.py").write_text(
        "extensions = ['myst_parser', 'widgets']\nmyst_enable_extensions = ['dollarmath']\n"
    )
    (folder / "index.md").write_text(PAGE.format(name=name))
    (folder / "drawing.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0L1 1"/></svg>')
    with docutils_namespace(), (folder / "warnings").open("w") as warnings:
        Sphinx(folder, folder, folder / "out", folder / "out", "html", status=None, warning=warnings).build()
    return (folder / "out" / "index.html").read_text(), (folder / "warnings").read_text()


def test_a_page_holds_the_numbers_the_figure_and_the_scripts(tmp_path: Path) -> None:
    (tmp_path / "numbers.json").write_text('{"text": "</script><b>"}')
    page, warnings = build(tmp_path, "threshold")
    assert warnings == ""
    held = page.partition('<script type="application/json">')[2].partition("</script>")[0]
    assert json.loads(held) == {"text": "</script><b>"}
    assert (
        page.count("widgets/shared.js") == page.count("widgets/threshold.js") == page.count("widgets/widgets.css") == 1
    )
    assert 'aria-label="What is seen."' in page and "<figcaption>" in page


@pytest.mark.parametrize(
    ("name", "numbers", "words"),
    [
        ("treshold", "{}", "there is no widget treshold; docs/static/widgets has activations, convolution"),
        ("threshold", "{", "the widget threshold can't read its numbers: .* lecture.record writes them"),
        ("threshold", None, "the widget threshold can't read its numbers: .* lecture.record writes them"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, name: str, numbers: str | None, words: str) -> None:
    if numbers is not None:
        (tmp_path / "numbers.json").write_text(numbers)
    _, warnings = build(tmp_path, name)
    assert re.search(rf"(?s)index\.md:3: ERROR: .*{words}", warnings), warnings
