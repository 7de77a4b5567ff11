"""Each page as a notebook: the script whole and in order, the page's prose, and it runs from top to bottom."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.thorough import THOROUGH

pytest.importorskip("sphinx", reason="the pages' tools are missing; pip install '.[docs]'")
sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "examples"))
sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "extensions"))

import notebooks

DOCS = Path(__file__).parents[2] / "docs"
SCRIPTS = sorted(DOCS.glob("examples/[0-9]*.py"))
#: Those that run in a few seconds. The others are the scripts that the tests run, in another process.
QUICK = ("04_one_parameter", "07_activations", "08_computational_graphs", "10_backward")


def made(script: Path) -> Any:
    return notebooks.notebook(script, (DOCS / "lecture" / f"{script.stem}.md").read_text("utf-8"))


def headings(markdown: str) -> list[str]:
    prose = re.sub(r"^```.*?^```$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"^#+ .*$", prose, flags=re.MULTILINE)


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_its_code_is_the_script_and_its_text_the_page(script: Path) -> None:
    notebook = made(script)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert "".join(code) == script.read_text("utf-8")
    assert not re.search(r"(?<!\.)__file__", "".join(code)), "a notebook has no __file__; lecture.__file__ is beside it"
    assert len(code) == 1 + len(re.findall(r"^# --- ", script.read_text("utf-8"), flags=re.MULTILINE))
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    page = (DOCS / "lecture" / f"{script.stem}.md").read_text("utf-8")
    kept = [heading for heading in headings(page) if heading != "## The script"]
    assert headings(text) == kept
    assert text.startswith(kept[0]) and "```{" not in text and "{py:obj}" not in text
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert {link for link in links if not (DOCS / "lecture" / link).with_suffix(".md").exists()} == set()
    assert notebook == made(script), "it is another at each build"


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_it_runs_from_top_to_bottom(script: Path, tmp_path: Path) -> None:
    if not THOROUGH and script.stem not in QUICK:
        pytest.skip("its script is tested; with DISTNN_TEST_THOROUGH set it runs as a notebook, too")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is missing; pip install '.[test]'")
    if "graph.draw" in script.read_text("utf-8") and shutil.which("dot") is None:
        pytest.skip("needs Graphviz's program dot")
    for path in (path for pattern in notebooks.NEEDED for path in (DOCS / "examples").glob(pattern)):
        shutil.copy(path, tmp_path)
    notebook = made(script)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert any(output.get("name") == "stdout" for output in outputs)
    figures = {path.stem for path in (tmp_path / "figures").glob("*.svg")}
    shown = [output for output in outputs if "image/svg+xml" in output.get("data", {})]
    assert figures and len(shown) == len(figures)


def test_a_claim_that_fails_is_told_below_its_cell(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is missing; pip install '.[test]'")
    for path in (path for pattern in notebooks.NEEDED for path in (DOCS / "examples").glob(pattern)):
        shutil.copy(path, tmp_path)
    script = tmp_path / "99_wrong.py"
    script.write_text("import lecture\nlecture.claim(False, 'one is two')\n# --- it goes on\nprint('went on')\n")
    notebook = notebooks.notebook(script, "# 99. Wrong\n")
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    _, first, second = notebook.cells
    assert [(output.name, output.text) for output in first.outputs] == [
        ("stderr", "This no longer holds: one is two\n"),
    ]
    assert [(output.name, output.text) for output in second.outputs] == [("stdout", "went on\n")]


def test_pages_of_the_lecture_link_to_theirs() -> None:
    context = {"body": "<h1>7. Title</h1><p>text</p>"}
    notebooks.link(None, "lecture/07_activations", "page.html", context, None)
    assert context["body"].startswith(
        '<h1>7. Title</h1>\n<p class="notebooks"><a href="../notebooks/07_activations.ipynb"'
    )
    other = {"body": "<h1>Data</h1>"}
    notebooks.link(None, "data", "page.html", other, None)
    assert other == {"body": "<h1>Data</h1>"}
