"""Writes each page of the lecture as a Jupyter notebook too: its prose, and its script cut into cells.

The cells with code are the script, whole and in order; it is cut at its lines ``# ---``. A section of the page stands
before the cell that writes the section's first figure. Pages link to their notebooks, in the folder notebooks beside
them, and to notebooks.zip, which has all of them with the files that they need.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import nbformat
import run_all
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.directives.code import LiteralInclude, LiteralIncludeReader

LECTURE = Path(__file__).parents[1] / "lecture"
#: What the scripts need beside them.
NEEDED = ("lecture*.py", "lecture.mplstyle", "*.txt")
#: A directive's name, its argument, and what is within it.
DIRECTIVE = re.compile(r"^```\{(\w+)\} *(.*)\n((?:.*\n)*?)```$", flags=re.MULTILINE)
#: Below the title.
HINT = """

*This is a page of distnn's lecture as a notebook. It needs `pip install 'distnn[mpi,plot]'`, and the lecture's own
files, which are beside it in `notebooks.zip` and in `docs/examples`. Figures appear below the cells that draw them.*

"""


def sections(script: str) -> list[str]:
    """A script's text, cut before each line that begins with ``# ---``."""
    return [part for part in re.split(r"(?=^# --- )", script, flags=re.MULTILINE) if part]


def prose(page: str) -> list[tuple[str, list[str]]]:
    """A page's sections as Markdown that Jupyter knows, each with the names of its figures."""
    found = []
    for part in re.split(r"(?=^## )", page, flags=re.MULTILINE):
        names = re.findall(r"figures/(\S+)\.(?:svg|json)", part)
        text = DIRECTIVE.sub(lambda match: shown(*match.groups()), part)
        text = re.sub(r"\{[\w:]+\}`([^`<]+)(?: <[^`]+>)?`", r"`\1`", text)  # a role
        text = re.sub(r"\]\((\d\d_\w+)\.md", r"](\1.ipynb", text)
        text = re.sub(r"\[([^\]]+)\]\((?!https?:|\d\d_)[^)]*\)", r"\1", text)  # pages that aren't beside the notebook
        found.append((re.sub(r"\n{3,}", "\n\n", text).strip(), names))
    return found


def shown(directive: str, argument: str, body: str) -> str:
    """What a notebook has in the place of a directive: a figure's caption, an included text, or nothing."""
    lines = body.splitlines()
    options = dict(re.match(r":([\w-]+): *(.*)", line).groups() for line in lines if line.startswith(":"))
    rest = "\n".join(line for line in lines if not line.startswith(":")).strip()
    if directive == "literalinclude" and argument.startswith("../figures/"):
        return ""  # what the script prints is seen below its cells
    if directive == "literalinclude":
        path = (LECTURE / argument).resolve()
        options = {key: value[1:-1] if value[:1] in ("'", '"') else value or None for key, value in options.items()}
        options = {key: LiteralInclude.option_spec[key](value) for key, value in options.items()}
        text, _ = LiteralIncludeReader(str(path), options, Config()).read()
        return f"```{options.get('language', 'python')}\n{text.rstrip()}\n```"
    return "\n".join(f"> {line}".rstrip() for line in rest.splitlines())


def notebook(script: Path, page: str) -> nbformat.NotebookNode:
    """The notebook of a script and its page."""
    code = sections(script.read_text(encoding="utf-8"))
    before: dict[int, list[str]] = {place: [] for place in range(len(code) + 1)}
    place = 0
    for number, (section, names) in enumerate(prose(page)):
        writing = [k for k, part in enumerate(code) if any(f"{name}." in part for name in names)]
        place = max(place, min(writing, default=place)) if number else 0
        if section.startswith("## The script"):  # which is all around
            place = len(code)
        text = section.removeprefix("## The script").strip() if number else section.replace("\n", HINT, 1)
        before[place].append(text)
    cells = []
    for place in range(len(code) + 1):
        cells += [new_markdown_cell(text) for text in before[place] if text]
        cells += [new_code_cell(part) for part in code[place : place + 1]]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # and not by chance: the same notebook at each build
    language = {"name": "python", "file_extension": ".py"}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": language})
    nbformat.validate(made)
    return made


def write(app: Sphinx, error: Exception | None) -> None:
    """Write all notebooks, and the archive of them with what they need."""
    if error is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir) / "notebooks"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "notebooks.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for script in run_all.SCRIPTS:
            path = folder / f"{script.stem}.ipynb"
            page = (LECTURE / f"{script.stem}.md").read_text(encoding="utf-8")
            nbformat.write(notebook(script, page), path)
            archive.write(path, f"lecture/{path.name}")
        for path in sorted(each for pattern in NEEDED for each in run_all.EXAMPLES.glob(pattern)):
            archive.write(path, f"lecture/{path.name}")


def link(app: Sphinx, page: str, template: str, context: dict[str, Any], document: object) -> None:
    """Below its title, let a page of the lecture link to its notebook."""
    folder, _, name = page.rpartition("/")
    if folder == "lecture" and context.get("body"):
        links = (
            f'<p class="notebooks"><a href="../notebooks/{name}.ipynb" download>This page as a Jupyter notebook</a> · '
        )
        links += '<a href="../notebooks/notebooks.zip" download>all of them, with the files they need</a></p>'
        context["body"] = context["body"].replace("</h1>", f"</h1>\n{links}", 1)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", link)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
